-- Version 2: stores that are followed, and stores that are copies of others.

-- Whether this store is a copy, and since it became one, up to where it did what the other one did. One row.
CREATE TABLE {schema}.role (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    is_replica boolean NOT NULL,
    applied bigint NOT NULL
);
INSERT INTO {schema}.role (is_replica, applied) VALUES (false, 0);

-- The feed: what each commit did, in order, kept from when somebody follows until all who follow have confirmed it.
-- `value` is null where the key went; the first row of a commit has its token. `ends_at` counts the bytes of the feed.
CREATE TABLE {schema}.changes (
    version bigint,
    place int,
    key bytea NOT NULL,
    value bytea,
    checksum bigint NOT NULL,
    token bytea,
    ends_at bigint NOT NULL,
    PRIMARY KEY (version, place)
);
CREATE INDEX changes_by_end ON {schema}.changes (ends_at);

-- Who needs the changes after `confirmed`, which is at `confirmed_at` in the feed. Who is further than `max_kept_bytes`
-- behind the feed's end is lost: nothing is kept for it any more.
CREATE TABLE {schema}.followers (
    name text COLLATE "C" PRIMARY KEY,
    confirmed bigint NOT NULL,
    confirmed_at bigint NOT NULL,
    max_kept_bytes bigint NOT NULL,
    is_lost boolean NOT NULL DEFAULT false
);

-- Everybody begins a new session, so that no group goes on in a function that knows nothing of followers.
UPDATE {schema}.committers SET session = session + 1;
