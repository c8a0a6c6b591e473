//! State: on every component and every store, with official SDKs, over the death of Mainstay.

mod durability;
mod engines;
mod listing;
mod merges;
mod sdk;

/// Component files: one of each kind that needs no server.
const COMPONENTS: &str = "\
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: statestore }
spec: { type: state.mainstay, version: v1 }
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: memory }
spec: { type: state.in-memory, version: v1 }
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: sealed }
spec:
  type: state.mainstay
  version: v1
  metadata:
  - name: primaryEncryptionKey
    value: 1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: private }
spec: { type: state.in-memory, version: v1 }
scopes: [somebody-else]
";

/// The names of those that every app may use.
const STORES: &str = "statestore,memory,sealed";

/// Those of them that answer no queries.
const WITHOUT_QUERY: &str = "sealed";
