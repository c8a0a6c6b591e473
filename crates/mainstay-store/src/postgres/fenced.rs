//! A connection that changes things, and makes sure that it alone does so for its owner.
//!
//! When a connection breaks, what it has sent may still take effect, long after. So each begins a session in the database;
//! when it has begun, everything that its owner's older ones sent is decided, and nothing of theirs takes effect any more.

use std::sync::Arc;

use tokio_postgres::Client;

use super::error::{OpenError, describe};
use super::schema::expand;
use super::session::{Connector, Session};

/// The connection.
pub(super) struct Fenced {
    pub session: Session,
    /// Its owner.
    pub id: Arc<[u8]>,
    /// Which of the owner's sessions it is.
    pub number: i64,
}

impl Fenced {
    /// Connects, and begins the next session of the owner. Cancel safe.
    pub(super) async fn begin(connector: &Connector, id: Arc<[u8]>) -> Result<Self, OpenError> {
        let session = connector.session().await?;
        let begin = expand("SELECT {schema}.begin_session($1)", &connector.options.schema);
        let begun = session.client.query_one(&begin, &[&id.as_ref()]).await;
        let number = begun
            .and_then(|row| row.try_get(0))
            .map_err(|error| unavailable(&error))?;
        Ok(Self { session, id, number })
    }
}

/// A name for this process that no other has.
pub(super) async fn new_id(client: &Client) -> Result<Arc<[u8]>, OpenError> {
    let asked = client.query_one("SELECT uuid_send(gen_random_uuid())", &[]).await;
    let id = asked.and_then(|row| row.try_get::<_, Vec<u8>>(0));
    id.map(Arc::from).map_err(|error| unavailable(&error))
}

fn unavailable(error: &tokio_postgres::Error) -> OpenError {
    OpenError::Unavailable(describe(error))
}
