-- How a store is followed, and how it becomes a copy and ceases to be one. All of it stands in the line of commits.

-- Follows as `in_name`. No row when as many follow as may.
CREATE OR REPLACE FUNCTION {schema}.follow(
    in_committer bytea,
    in_session bigint,
    in_name text,
    in_max_followers bigint,
    in_max_kept_bytes bigint
) RETURNS TABLE (was_lost boolean, since bigint) LANGUAGE plpgsql AS $function$
BEGIN
    PERFORM {schema}.take_turn(in_committer, in_session);
    RETURN QUERY UPDATE {schema}.followers SET max_kept_bytes = in_max_kept_bytes WHERE name = in_name
        RETURNING is_lost, confirmed;
    IF NOT FOUND AND (SELECT count(*) FROM {schema}.followers) < in_max_followers THEN
        RETURN QUERY INSERT INTO {schema}.followers (name, confirmed, confirmed_at, max_kept_bytes)
            VALUES (in_name, {schema}.latest(), {schema}.feed_end(), in_max_kept_bytes)
            RETURNING is_lost, confirmed;
    END IF;
END
$function$;

-- Nothing is kept for this follower up to `in_up_to`. No row when nobody follows under this name.
CREATE OR REPLACE FUNCTION {schema}.confirm(
    in_committer bytea,
    in_session bigint,
    in_name text,
    in_up_to bigint
) RETURNS TABLE (was_lost boolean) LANGUAGE plpgsql AS $function$
DECLARE
    up_to bigint;
    place_in_feed bigint;
BEGIN
    PERFORM {schema}.take_turn(in_committer, in_session);
    -- What does not exist yet cannot be confirmed.
    up_to := least(in_up_to, {schema}.latest());
    SELECT ends_at INTO place_in_feed FROM {schema}.changes WHERE version <= up_to
        ORDER BY version DESC, place DESC LIMIT 1;
    RETURN QUERY UPDATE {schema}.followers
        SET confirmed = greatest(confirmed, up_to), confirmed_at = greatest(confirmed_at, place_in_feed)
        WHERE name = in_name RETURNING is_lost;
END
$function$;

-- Keeps nothing for this follower any more.
CREATE OR REPLACE FUNCTION {schema}.unfollow(in_committer bytea, in_session bigint, in_name text)
RETURNS void LANGUAGE plpgsql AS $function$
BEGIN
    PERFORM {schema}.take_turn(in_committer, in_session);
    DELETE FROM {schema}.followers WHERE name = in_name;
END
$function$;

-- Makes the line go on after `in_version`, if it is not there yet.
CREATE OR REPLACE FUNCTION {schema}.go_on_after(in_version bigint) RETURNS void LANGUAGE plpgsql AS $function$
BEGIN
    IF in_version > {schema}.latest() THEN
        INSERT INTO {schema}.moments (version) VALUES (in_version);
    END IF;
END
$function$;

-- Takes no commits from now on. Gives the last version.
CREATE OR REPLACE FUNCTION {schema}.demote(in_committer bytea, in_session bigint) RETURNS bigint LANGUAGE plpgsql AS $function$
BEGIN
    PERFORM {schema}.take_turn(in_committer, in_session);
    UPDATE {schema}.role SET is_replica = true, applied = 0 WHERE NOT is_replica;
    RETURN {schema}.latest();
END
$function$;

-- Takes commits from now on, all after `in_after`. Whoever watches looks at everything anew.
CREATE OR REPLACE FUNCTION {schema}.promote(in_committer bytea, in_session bigint, in_after bigint)
RETURNS void LANGUAGE plpgsql AS $function$
BEGIN
    PERFORM {schema}.take_turn(in_committer, in_session);
    PERFORM {schema}.go_on_after(in_after);
    UPDATE {schema}.role SET is_replica = false WHERE is_replica;
    IF FOUND THEN
        PERFORM pg_notify('{schema}', {schema}.latest() || ':*');
    END IF;
END
$function$;

-- Refuses to go on unless this store is a copy. Gives up to where it did what the other one did.
CREATE OR REPLACE FUNCTION {schema}.require_replica() RETURNS bigint LANGUAGE plpgsql AS $function$
DECLARE
    done bigint;
BEGIN
    SELECT applied INTO done FROM {schema}.role WHERE is_replica;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the store is in use itself' USING ERRCODE = 'MS003';
    END IF;
    RETURN done;
END
$function$;

-- Puts entries and tokens here as they are. What is here already and later stays. The keys differ, and so do the tokens.
CREATE OR REPLACE FUNCTION {schema}.copy_portion(
    in_committer bytea,
    in_session bigint,
    in_keys bytea[],
    in_values bytea[],
    in_versions bigint[],
    in_checksums bigint[],
    in_tokens bytea[],
    in_token_versions bigint[]
) RETURNS void LANGUAGE plpgsql AS $function$
BEGIN
    PERFORM {schema}.take_turn(in_committer, in_session);
    PERFORM {schema}.require_replica();
    INSERT INTO {schema}.keys AS present (key, value, version, checksum)
        SELECT * FROM unnest(in_keys, in_values, in_versions, in_checksums)
        ON CONFLICT (key) DO UPDATE
            SET value = EXCLUDED.value, version = EXCLUDED.version, checksum = EXCLUDED.checksum
            WHERE present.version <= EXCLUDED.version;
    INSERT INTO {schema}.tokens AS present (token, version)
        SELECT * FROM unnest(in_tokens, in_token_versions)
        ON CONFLICT (token) DO UPDATE SET version = EXCLUDED.version WHERE present.version < EXCLUDED.version;
    -- No page may show a version above its own.
    PERFORM {schema}.go_on_after((SELECT max(version) FROM unnest(in_versions || in_token_versions) AS version));
END
$function$;

-- Does what commits of the other store did: `in_commit_…` one for each commit, `in_…` one for each of their writes, all in
-- order. `in_lasts` says which write is the last of its key.
CREATE OR REPLACE FUNCTION {schema}.apply_commits(
    in_committer bytea,
    in_session bigint,
    in_commit_versions bigint[],
    in_commit_tokens bytea[],
    in_versions bigint[],
    in_places int[],
    in_keys bytea[],
    in_values bytea[],
    in_checksums bigint[],
    in_lasts boolean[]
) RETURNS void LANGUAGE plpgsql AS $function$
DECLARE
    done bigint;
    last bigint;
    gone record;
BEGIN
    PERFORM {schema}.take_turn(in_committer, in_session);
    done := {schema}.require_replica();
    INSERT INTO {schema}.keys AS present (key, value, version, checksum)
        SELECT write.key, write.value, write.version, write.checksum
        FROM unnest(in_keys, in_values, in_versions, in_checksums, in_lasts)
            AS write (key, value, version, checksum, is_last)
        WHERE is_last AND write.value IS NOT NULL AND write.version > done
        ON CONFLICT (key) DO UPDATE
            SET value = EXCLUDED.value, version = EXCLUDED.version, checksum = EXCLUDED.checksum
            WHERE present.version < EXCLUDED.version;
    FOR gone IN
        SELECT write.key, write.version
        FROM unnest(in_keys, in_values, in_versions, in_lasts) AS write (key, value, version, is_last)
        WHERE is_last AND write.value IS NULL AND write.version > done
    LOOP
        DELETE FROM {schema}.keys WHERE key = gone.key AND version < gone.version;
    END LOOP;
    INSERT INTO {schema}.tokens AS present (token, version)
        SELECT DISTINCT ON (used.token) used.token, used.version
        FROM unnest(in_commit_tokens, in_commit_versions) AS used (token, version)
        WHERE used.token IS NOT NULL AND used.version > done
        ORDER BY used.token, used.version DESC
        ON CONFLICT (token) DO UPDATE SET version = EXCLUDED.version WHERE present.version < EXCLUDED.version;
    SELECT max(version) INTO last FROM unnest(in_commit_versions) AS version;
    UPDATE {schema}.role SET applied = last WHERE applied < last;
    PERFORM {schema}.go_on_after(last);
    IF EXISTS (SELECT FROM {schema}.followers WHERE NOT is_lost) THEN
        PERFORM {schema}.pass_on(done, in_commit_versions, in_commit_tokens, in_versions, in_places, in_keys,
            in_values, in_checksums);
    END IF;
    PERFORM pg_notify('{schema}', {schema}.latest() || ':*');
END
$function$;

-- Puts commits of the other store into the feed of this one. If the feed is further already, the store was in use itself
-- meanwhile: these cannot be told of in order, so who follows is lost.
CREATE OR REPLACE FUNCTION {schema}.pass_on(
    in_done bigint,
    in_commit_versions bigint[],
    in_commit_tokens bytea[],
    in_versions bigint[],
    in_places int[],
    in_keys bytea[],
    in_values bytea[],
    in_checksums bigint[]
) RETURNS void LANGUAGE plpgsql AS $function$
DECLARE
    feed_end bigint := {schema}.feed_end();
    last bigint;
BEGIN
    SELECT max(version) INTO last FROM {schema}.changes;
    IF EXISTS (SELECT FROM unnest(in_commit_versions) AS version WHERE version > in_done AND version <= last) THEN
        UPDATE {schema}.followers SET is_lost = true WHERE NOT is_lost;
        RETURN;
    END IF;
    INSERT INTO {schema}.changes (version, place, key, value, checksum, token, ends_at)
        SELECT write.version, write.place, write.key, write.value, write.checksum,
            CASE WHEN write.place = 0 THEN used.token END,
            feed_end + sum({schema}.feed_bytes(write.key, write.value)) OVER (ORDER BY write.version, write.place)
        FROM unnest(in_versions, in_places, in_keys, in_values, in_checksums)
            AS write (version, place, key, value, checksum)
        JOIN unnest(in_commit_versions, in_commit_tokens) AS used (version, token) USING (version)
        WHERE write.version > in_done;
    PERFORM {schema}.drop_late_followers({schema}.feed_end());
END
$function$;
