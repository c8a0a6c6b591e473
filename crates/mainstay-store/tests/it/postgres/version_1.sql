-- Version 1. `{schema}` is the name of the schema, `{lock}` the key of the lock that every group of commits takes.

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

-- Begins a session of a committer. When it returns, everything that its older sessions sent is decided.
CREATE FUNCTION {schema}.begin_session(in_committer bytea) RETURNS bigint LANGUAGE plpgsql AS $function$
DECLARE
    begun bigint;
BEGIN
    PERFORM pg_advisory_xact_lock({lock});
    INSERT INTO {schema}.committers AS known (id, session) VALUES (in_committer, 1)
        ON CONFLICT (id) DO UPDATE SET session = known.session + 1
        RETURNING known.session INTO begun;
    RETURN begun;
END
$function$;

-- Decides about the batches of a group in turn, and writes those that can be committed. One row for each, in order:
-- outcome 0 committed, 1 committed before under the same token, 2 conflict at a condition (counted in the whole group).
-- `in_condition_ends` and `in_write_ends` tell for each batch where its conditions and writes end in their arrays.
CREATE FUNCTION {schema}.commit_group(
    in_committer bytea,
    in_session bigint,
    in_tokens bytea[],
    in_condition_ends int[],
    in_condition_kinds smallint[], -- 0 key at a version, 1 key absent, 2 range unchanged
    in_condition_keys bytea[],     -- of a range: its start
    in_range_ends bytea[],
    in_condition_versions bigint[],
    in_condition_counts bigint[],
    in_write_ends int[],
    in_write_kinds smallint[],     -- 0 put, 1 delete, 2 append
    in_write_keys bytea[],
    in_values bytea[],
    in_checksums bigint[]
) RETURNS TABLE (outcome smallint, at_version bigint, condition int, actual bigint) LANGUAGE plpgsql AS $function$
DECLARE
    latest bigint;
    before bigint;
    condition_index int := 1;
    write_index int := 1;
    appended smallint;
    census bigint;
    write_key bytea;
    changed text := '';
BEGIN
    -- One group at a time, whoever sends it: what follows sees all that was committed before, and nothing else changes
    -- meanwhile. The lock goes when the commit is durable and visible.
    PERFORM pg_advisory_xact_lock({lock});
    PERFORM FROM {schema}.committers WHERE id = in_committer AND session = in_session;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a newer session has taken over' USING ERRCODE = 'MS001';
    END IF;
    SELECT version INTO latest FROM {schema}.moments ORDER BY version DESC LIMIT 1;
    latest := coalesce(latest, 0);
    before := latest;

    FOR batch IN 1 .. cardinality(in_tokens) LOOP
        outcome := 0;
        condition := NULL;
        actual := NULL;
        IF in_tokens[batch] IS NOT NULL THEN
            SELECT version INTO at_version FROM {schema}.tokens WHERE token = in_tokens[batch];
            IF FOUND THEN
                outcome := 1;
            END IF;
        END IF;

        WHILE outcome = 0 AND condition_index <= in_condition_ends[batch] LOOP
            IF in_condition_kinds[condition_index] < 2 THEN
                SELECT version INTO actual FROM {schema}.keys WHERE key = in_condition_keys[condition_index];
                IF actual IS DISTINCT FROM in_condition_versions[condition_index] THEN
                    outcome := 2;
                END IF;
            ELSE
                -- One key more than there should be is enough to know.
                IF in_range_ends[condition_index] IS NULL THEN
                    SELECT count(*), max(version) INTO census, actual FROM (
                        SELECT version FROM {schema}.keys WHERE key >= in_condition_keys[condition_index]
                        LIMIT in_condition_counts[condition_index] + 1
                    ) AS range;
                ELSE
                    SELECT count(*), max(version) INTO census, actual FROM (
                        SELECT version FROM {schema}.keys
                        WHERE key >= in_condition_keys[condition_index] AND key < in_range_ends[condition_index]
                        LIMIT in_condition_counts[condition_index] + 1
                    ) AS range;
                END IF;
                IF census <> in_condition_counts[condition_index]
                    OR actual > in_condition_versions[condition_index] THEN
                    outcome := 2;
                END IF;
            END IF;
            IF outcome = 2 THEN
                condition := condition_index - 1;
            END IF;
            condition_index := condition_index + 1;
        END LOOP;
        condition_index := in_condition_ends[batch] + 1;

        IF outcome = 0 THEN
            latest := greatest(latest + 1, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint << 16);
            at_version := latest;
            appended := 0;
            IF in_tokens[batch] IS NOT NULL THEN
                INSERT INTO {schema}.tokens (token, version) VALUES (in_tokens[batch], latest);
            END IF;
            WHILE write_index <= in_write_ends[batch] LOOP
                write_key := in_write_keys[write_index];
                IF in_write_kinds[write_index] = 2 THEN
                    write_key := write_key || int8send(latest) || int2send(appended);
                    appended := appended + 1::smallint;
                END IF;
                IF in_write_kinds[write_index] = 1 THEN
                    DELETE FROM {schema}.keys WHERE key = write_key;
                ELSE
                    INSERT INTO {schema}.keys AS present (key, value, version, checksum)
                        VALUES (write_key, in_values[write_index], latest, in_checksums[write_index] # latest)
                        ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, version = EXCLUDED.version,
                            checksum = EXCLUDED.checksum;
                END IF;
                -- A notification holds less than 8,000 bytes; more changes are told as `*`.
                IF length(changed) + 2 * length(write_key) < 7900 THEN
                    changed := changed || ',' || encode(write_key, 'hex');
                ELSE
                    changed := rpad('*', 7900);
                END IF;
                write_index := write_index + 1;
            END LOOP;
        END IF;
        write_index := in_write_ends[batch] + 1;
        RETURN NEXT;
    END LOOP;

    IF latest > before THEN
        INSERT INTO {schema}.moments (version) VALUES (latest);
        PERFORM pg_notify('{schema}', latest || ':' || rtrim(ltrim(changed, ',')));
    END IF;
END
$function$;
