-- How commits are made. `{schema}` is the name of the schema, `{lock}` the key of the lock that puts all of them into one line.
-- A change of the functions is a new version of the schema, with a script that may be empty.

-- The last version of the line. In PL/pgSQL, which plans a query once; a function in SQL would do so in each transaction.
CREATE OR REPLACE FUNCTION {schema}.latest() RETURNS bigint LANGUAGE plpgsql STABLE AS $function$
BEGIN
    RETURN coalesce((SELECT version FROM {schema}.moments ORDER BY version DESC LIMIT 1), 0);
END
$function$;

-- Where the feed ends, in bytes. Its last commit is never removed.
CREATE OR REPLACE FUNCTION {schema}.feed_end() RETURNS bigint LANGUAGE plpgsql STABLE AS $function$
BEGIN
    RETURN coalesce((SELECT ends_at FROM {schema}.changes ORDER BY version DESC, place DESC LIMIT 1), 0);
END
$function$;

-- What a change counts for in the feed: its bytes, and something for the row, whatever is in it.
CREATE OR REPLACE FUNCTION {schema}.feed_bytes(in_key bytea, in_value bytea) RETURNS bigint LANGUAGE sql IMMUTABLE AS $function$
    SELECT 64::bigint + octet_length(in_key) + coalesce(octet_length(in_value), 0)
$function$;

-- Keeps nothing more for those who are too far behind.
CREATE OR REPLACE FUNCTION {schema}.drop_late_followers(in_feed_end bigint) RETURNS void LANGUAGE plpgsql AS $function$
BEGIN
    UPDATE {schema}.followers SET is_lost = true
        WHERE NOT is_lost AND in_feed_end - confirmed_at > max_kept_bytes;
END
$function$;

-- Begins a session of a committer. When it returns, everything that its older sessions sent is decided.
CREATE OR REPLACE FUNCTION {schema}.begin_session(in_committer bytea) RETURNS bigint LANGUAGE plpgsql AS $function$
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

-- Waits for the caller's place in the line of commits. One at a time, whoever it is: what follows sees all that was committed
-- before, and nothing else changes meanwhile. The place is given up when the transaction is durable and visible.
CREATE OR REPLACE FUNCTION {schema}.take_turn(in_committer bytea, in_session bigint) RETURNS void LANGUAGE plpgsql AS $function$
BEGIN
    PERFORM pg_advisory_xact_lock({lock});
    PERFORM FROM {schema}.committers WHERE id = in_committer AND session = in_session;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a newer session has taken over' USING ERRCODE = 'MS001';
    END IF;
END
$function$;

-- Decides about the batches of a group in turn, and writes those that can be committed. One row for each, in order:
-- outcome 0 committed, 1 committed before under the same token, 2 conflict at a condition (counted in the whole group).
-- `in_condition_ends` and `in_write_ends` tell for each batch where its conditions and writes end in their arrays.
CREATE OR REPLACE FUNCTION {schema}.commit_group(
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
    is_copy boolean;
    is_followed boolean;
    latest bigint;
    before bigint;
    feed_end bigint;
    place int;
    condition_index int := 1;
    write_index int := 1;
    appended smallint;
    census bigint;
    write_key bytea;
    changed text := '';
BEGIN
    PERFORM {schema}.take_turn(in_committer, in_session);
    SELECT is_replica, EXISTS (SELECT FROM {schema}.followers WHERE NOT is_lost) INTO is_copy, is_followed
        FROM {schema}.role;
    IF is_copy THEN
        RAISE EXCEPTION 'the store is a copy of another one' USING ERRCODE = 'MS002';
    END IF;
    latest := {schema}.latest();
    before := latest;
    IF is_followed THEN
        feed_end := {schema}.feed_end();
    END IF;

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
            place := 0;
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
                IF is_followed THEN
                    feed_end := feed_end + {schema}.feed_bytes(write_key, in_values[write_index]);
                    INSERT INTO {schema}.changes (version, place, key, value, checksum, token, ends_at)
                        VALUES (latest, place, write_key, in_values[write_index], in_checksums[write_index] # latest,
                            CASE WHEN place = 0 THEN in_tokens[batch] END, feed_end);
                    place := place + 1;
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
        IF is_followed THEN
            PERFORM {schema}.drop_late_followers(feed_end);
        END IF;
        INSERT INTO {schema}.moments (version) VALUES (latest);
        PERFORM pg_notify('{schema}', latest || ':' || rtrim(ltrim(changed, ',')));
    END IF;
END
$function$;
