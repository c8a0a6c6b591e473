use std::fmt::Write as _;

use expect_test::{Expect, expect};

use super::*;
use crate::resources::Resources;

/// Reads component files and shows what is planned, and every mistake.
#[expect(
    clippy::needless_pass_by_value,
    reason = "`expect!` reads best at the place of the call"
)]
fn check(home: Home, input: &str, expect: Expect) {
    let environment = |name: &str| (name == "PREFIX").then(|| "orders".to_owned());
    let mut diagnostics = Diagnostics::default();
    let mut resources = Resources::default();
    resources.add(input, "c.yaml", &environment, &mut diagnostics);
    let mut shown = String::new();
    for planned in plan(resources.components, home, &mut diagnostics) {
        let Planned {
            name,
            kind,
            version,
            scopes,
            plan,
            ..
        } = &planned;
        writeln!(shown, "{name} {} {version} {scopes:?} {plan:?}", kind.name()).expect("text");
    }
    write!(shown, "{diagnostics}").expect("text");
    expect.assert_eq(&shown);
}

/// A component file: name, type and what follows in `spec`, indented by two.
fn component(name: &str, kind: &str, rest: &str) -> String {
    format!(
        "---\napiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{ name: {name} }}\nspec:\n  type: {kind}\n{rest}"
    )
}

#[test]
fn without_files_a_system_has_one_component_of_each_block() {
    check(
        Home::System,
        "",
        expect![[r#"
            statestore state.mainstay v1 [] State(StatePlan { place: Stored, prefix: App, keys: None, cache: None })
            lockstore lock.mainstay v1 [] Locks(LockPlan { place: Stored, prefix: App })
            configstore configuration.mainstay v1 [] Configuration(Stored)
            secretstore secretstores.mainstay v1 [] Secrets(Stored(Default))
        "#]],
    );
    check(Home::Sidecar, "", expect![[r#""#]]);
}

#[test]
fn settings_are_read_in_any_case_and_from_anywhere() {
    let file = component(
        "mine",
        "State.In-Memory",
        "  version: v1
  initTimeout: 20s
  metadata:
  - { name: KEYPREFIX, envRef: PREFIX }
  - { name: primaryEncryptionKey, secretKeyRef: { name: aes, key: first } }
  - { name: secondaryEncryptionKey, value: '00' }
  - { name: actorStateStore, value: true }
auth: { secretStore: vault }
scopes: [orders, mail]
",
    );
    check(
        Home::Sidecar,
        &file,
        expect![[r#"
            mine state.in-memory v1 ["orders", "mail"] State(StatePlan { place: InMemory, prefix: Constant("orders"), keys: Some((Key { name: "aes", value: Secret(vault/aes) }, Some(Key { name: "secondaryEncryptionKey", value: Text(…) }))), cache: None })
            c.yaml:13:5: note M032: `actorStateStore` of the component `mine` is not used yet
        "#]],
    );
}

#[test]
fn a_type_that_does_not_exist_is_told_with_its_place() {
    let file = [
        component("a", "state.in-memori", ""),
        component("b", "state.redis2", "  ignoreErrors: true\n"),
        component("c", "state.in-memory", "  version: v9\n"),
        component("d", "pubsub.kafka", ""),
        component("m", "lock.etcd", ""),
        component("k", "state.in-memory", ""),
        component("k", "state.in-memory", ""),
        component("l", "state.in-memory", "  tpye: x\n"),
    ]
    .concat();
    check(
        Home::System,
        &file,
        expect![[r#"
            k state.in-memory v1 [] State(StatePlan { place: InMemory, prefix: App, keys: None, cache: None })
            l state.in-memory v1 [] State(StatePlan { place: InMemory, prefix: App, keys: None, cache: None })
            lockstore lock.mainstay v1 [] Locks(LockPlan { place: Stored, prefix: App })
            configstore configuration.mainstay v1 [] Configuration(Stored)
            secretstore secretstores.mainstay v1 [] Secrets(Stored(Default))
            c.yaml:51:3: error M006: `spec` has no key `tpye`
                did you mean `type`?
            c.yaml:6:3: error M034: there is no component type `state.in-memori`
                did you mean `state.in-memory`?
            c.yaml:12:3: warning M034: there is no component type `state.redis2`
                did you mean `state.redis`?
            c.yaml:19:3: error M010: `state.in-memory` has no version `v9`
                write v1
            c.yaml:26:3: note M032: the component `d` is not used: there is no `pubsub.kafka` yet
            c.yaml:32:3: error M034: there is no component type `lock.etcd`
                known are `configuration.mainstay`, `configuration.postgres`, `configuration.postgresql`, `configuration.redis`, `lock.in-memory`, `lock.mainstay`, `lock.redis`, `secretstores.local.env`, `secretstores.local.file`, `secretstores.mainstay`, `state.in-memory`, `state.mainstay`, `state.postgresql`, `state.postgres`, `state.redis`
            c.yaml:44:3: error M018: there is a component `k` at c.yaml:38 already
                apps use a component by its name: give each its own
        "#]],
    );
}

#[test]
fn settings_that_cannot_be_are_told_with_their_place() {
    let file = [
        component(
            "e",
            "state.in-memory",
            "  metadata:
  - { name: keyPrefix, value: a||b }
",
        ),
        component(
            "f",
            "state.in-memory",
            "  metadata:
  - { name: keyPrefx, value: name }
  - { name: secondaryEncryptionKey, value: x }
",
        ),
        component(
            "g",
            "state.in-memory",
            "  metadata:\n  - { name: x, value: 1, envRef: PREFIX }\n",
        ),
        component(
            "h",
            "state.in-memory",
            "  metadata:\n  - { name: x, envRef: NOT_SET }\n  - { name: y, envRef: DAPR_API_TOKEN }\n",
        ),
        component(
            "i",
            "state.in-memory",
            "  metadata:\n  - { name: primaryEncryptionKey, secretKeyRef: { name: k } }\n",
        ),
        component(
            "j",
            "state.in-memory",
            "  metadata:\n  - { name: keyPrefix, secretKeyRef: { name: k } }\nauth: { secretStore: s }\n",
        ),
    ]
    .concat();
    check(
        Home::System,
        &file,
        expect![[r#"
            g state.in-memory v1 [] State(StatePlan { place: InMemory, prefix: App, keys: None, cache: None })
            h state.in-memory v1 [] State(StatePlan { place: InMemory, prefix: App, keys: None, cache: None })
            i state.in-memory v1 [] State(StatePlan { place: InMemory, prefix: App, keys: None, cache: None })
            j state.in-memory v1 [] State(StatePlan { place: InMemory, prefix: App, keys: None, cache: None })
            lockstore lock.mainstay v1 [] Locks(LockPlan { place: Stored, prefix: App })
            configstore configuration.mainstay v1 [] Configuration(Stored)
            secretstore secretstores.mainstay v1 [] Secrets(Stored(Default))
            c.yaml:25:5: error M022: `x` has more than one value
                give exactly one of `value`, `envRef` and `secretKeyRef`
            c.yaml:33:5: error M020: the variable `NOT_SET` of `x` is not set
                set it in the environment of Mainstay
            c.yaml:34:5: error M022: the variable `DAPR_API_TOKEN` of `y` is not for resources
                choose another variable
            c.yaml:42:5: error M008: `primaryEncryptionKey` names a secret, and the resource no secret store
                add `auth: { secretStore: NAME }`
            c.yaml:8:5: error M009: input key/keyPrefix 'a||b' can't contain '||'
                write appid, name, namespace, none, or a text of your own
            c.yaml:17:5: error M009: there is a `secondaryEncryptionKey` and no `primaryEncryptionKey`
                the primary key is the one that seals
            c.yaml:50:5: error M009: `keyPrefix` is no secret: write its value here
                only keys and passwords come from a secret store
        "#]],
    );
}

#[test]
fn engines_and_secrets_are_declared() {
    let file = [
        component(
            "locks",
            "lock.redis",
            "  metadata:
  - { name: redisHost, value: 'localhost:6379' }
  - { name: redisPassword, secretKeyRef: { name: redis, key: password } }
  - { name: keyPrefix, value: none }
auth: { secretStore: file }
",
        ),
        component(
            "settings",
            "configuration.redis",
            "  metadata:\n  - { name: redisHost, value: 'a:b' }\n",
        ),
        component(
            "file",
            "secretstores.local.file",
            "  metadata:
  - { name: secretsFile, value: secrets.json }
  - { name: multiValued, value: 'true' }
  - { name: nestedSeparator, value: '.' }
",
        ),
        component("nofile", "secretstores.local.file", ""),
        component(
            "env",
            "secretstores.local.env",
            "  metadata:\n  - { name: prefix, value: APP_ }\n",
        ),
        component(
            "sealed",
            "secretstores.mainstay",
            "  metadata:\n  - { name: keyFile, value: k }\n  - { name: key, value: x }\n",
        ),
    ]
    .concat();
    check(
        Home::System,
        &file,
        expect![[r#"
            locks lock.redis v1 [] Locks(LockPlan { place: Redis(EngineSettings([Setting { name: "redisHost", value: Text(…), place: Place { file: "c.yaml", line: 8, column: 5 } }, Setting { name: "redisPassword", value: Secret(file/redis), place: Place { file: "c.yaml", line: 9, column: 5 } }])), prefix: None })
            file secretstores.local.file v1 [] Secrets(File(Options { path: "secrets.json", nested_separator: ".", multi_valued: true }))
            env secretstores.local.env v1 [] Secrets(Environment { prefix: "APP_" })
            statestore state.mainstay v1 [] State(StatePlan { place: Stored, prefix: App, keys: None, cache: None })
            configstore configuration.mainstay v1 [] Configuration(Stored)
            c.yaml:17:3: error M009: `redisHost` is `a:b`: write host:port
            c.yaml:35:3: error M009: `secretsFile` is missing: name the file
            c.yaml:52:5: error M009: there is a `key` and a `keyFile`
                keep one of them
        "#]],
    );
}

#[test]
fn state_is_kept_on_engines() {
    let file = [
        component(
            "cache",
            "state.redis",
            "  metadata:
  - { name: redisHost, value: 'localhost:6379' }
  - { name: redisPassword, secretKeyRef: { name: redis, key: password } }
  - { name: poolSize, value: '20' }
  - { name: keyPrefix, value: name }
  - { name: redishots, value: x }
auth: { secretStore: file }
",
        ),
        component(
            "table",
            "state.postgresql",
            "  version: v2
  metadata:
  - { name: connectionString, secretKeyRef: { name: db } }
  - { name: tablePrefix, value: shop_ }
auth: { secretStore: file }
",
        ),
        component(
            "old",
            "state.postgres",
            "  metadata:\n  - { name: connectionString, value: 'host=localhost password=hunter2' }\n  - { name: actorStateStore, value: 'true' }\n",
        ),
        component(
            "wrong",
            "state.redis",
            "  metadata:\n  - { name: redisHost, value: 'a:b' }\n  - { name: failover, value: 'true' }\n",
        ),
        component("nowhere", "state.postgresql", ""),
    ]
    .concat();
    check(
        Home::Sidecar,
        &file,
        expect![[r#"
            cache state.redis v1 [] State(StatePlan { place: Redis(EngineSettings([Setting { name: "redisHost", value: Text(…), place: Place { file: "c.yaml", line: 8, column: 5 } }, Setting { name: "redisPassword", value: Secret(file/redis), place: Place { file: "c.yaml", line: 9, column: 5 } }, Setting { name: "poolSize", value: Text(…), place: Place { file: "c.yaml", line: 10, column: 5 } }])), prefix: Name, keys: None, cache: None })
            table state.postgresql v2 [] State(StatePlan { place: Postgres(EngineSettings([Setting { name: "connectionString", value: Secret(file/db), place: Place { file: "c.yaml", line: 22, column: 5 } }, Setting { name: "tablePrefix", value: Text(…), place: Place { file: "c.yaml", line: 23, column: 5 } }])), prefix: App, keys: None, cache: None })
            old state.postgresql v1 [] State(StatePlan { place: Postgres(EngineSettings([Setting { name: "connectionString", value: Text(…), place: Place { file: "c.yaml", line: 32, column: 5 } }])), prefix: App, keys: None, cache: None })
            c.yaml:12:5: warning M006: `redishots` means nothing to `state.redis`
                did you mean `redisHost`?
            c.yaml:33:5: note M032: `actorStateStore` of the component `old` is not used yet
            c.yaml:39:3: error M009: `failover` is not supported: Mainstay connects to a single Redis by its address and a password
            c.yaml:48:3: error M009: `connectionString` is missing
        "#]],
    );
}

#[test]
fn a_sidecar_has_no_store() {
    check(
        Home::Sidecar,
        &component("s", "state.mainstay", ""),
        expect![[r#"
            c.yaml:6:3: error M031: a sidecar has no store of its own for `s`
                run the system with `mainstay run`, or choose another type
        "#]],
    );
}
