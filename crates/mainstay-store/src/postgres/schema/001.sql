-- Version 1. `{schema}` is the name of the schema.

-- The present state. `checksum` is XXH3 of the value, exclusive or the version.
CREATE TABLE {schema}.keys (
    key bytea PRIMARY KEY,
    value bytea NOT NULL,
    version bigint NOT NULL,
    checksum bigint NOT NULL
) WITH (fillfactor = 90);

-- The line of commits: the last version of each group. Rows are added and the oldest removed, never updated: one row that
-- every group updates would grow a chain of dead versions for as long as any snapshot lives, and every read would walk it.
CREATE TABLE {schema}.moments (version bigint PRIMARY KEY);

-- Which commit used a token.
CREATE TABLE {schema}.tokens (token bytea PRIMARY KEY, version bigint NOT NULL);
CREATE INDEX tokens_by_version ON {schema}.tokens (version);

-- The latest session of each process that commits. What an older one sent and was not answered must not take effect
-- after the newer one was told how things stand.
CREATE TABLE {schema}.committers (id bytea PRIMARY KEY, session bigint NOT NULL);
