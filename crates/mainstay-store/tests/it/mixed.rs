//! Stores of different adapters follow each other.

use super::embedded::OnDisk;
use super::postgres::OnServer;
use super::simulated::InMemory;

/// Memory is flushed and files are merged all the time.
type Flushing = OnDisk<{ 4 * 1_024 }>;

mod embedded_to_simulated {
    mainstay_store::replication_suite!(super::Flushing, super::InMemory);
}

mod simulated_to_embedded {
    mainstay_store::replication_suite!(super::InMemory, super::Flushing);
}

mod embedded_to_postgres {
    mainstay_store::replication_suite!(super::Flushing, super::OnServer);
}

mod postgres_to_embedded {
    mainstay_store::replication_suite!(super::OnServer, super::Flushing);
}
