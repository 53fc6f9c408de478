-- What a hold and its confirmation write, on the same tables: two statements, a transaction each.
-- Everything is chosen here, without a look at what is there; a time that is taken is held by nobody.
\set unit random(1, 1000000)
\set slot random(0, 17000)
WITH new AS (
    SELECT gen_random_uuid() AS id, gen_random_uuid() AS patient_id,
        lpad(to_hex(:unit::bigint), 32, '0')::uuid AS unit_id,
        now() + :slot::integer * interval '30 minutes' AS start
), claimed AS (
    INSERT INTO claims (appointment_id, resource_id, kind, period)
    SELECT id, unit_id, 'staff', tstzrange(start, start + interval '30 minutes', '[)') FROM new
    ON CONFLICT DO NOTHING RETURNING appointment_id
), held AS (
    INSERT INTO appointments (id, version, status, patient_id, provider_id, service_id, timeslot_id,
        starts_at, ends_at, mode, terms, source, patient_timezone, provider_timezone,
        reservation_token_hash, hold_expires_at, audit_sequence, audit_hash, created_at, updated_at)
    SELECT id, 1, 'held', patient_id, unit_id, unit_id, 'slot-20270101T0900', start,
        start + interval '30 minutes', 'phone',
        jsonb_build_object('serviceTitle', 'Consultation', 'rest', repeat('x', 420)),
        'patient_portal', 'Europe/Athens', 'Europe/Athens', sha256(uuid_send(id)),
        now() + interval '1 hour', 1, sha256(uuid_send(id)), now(), now()
    FROM new JOIN claimed ON claimed.appointment_id = new.id
    RETURNING id, starts_at, ends_at, patient_id, audit_hash
), audited AS (
    INSERT INTO audit_events (id, appointment_id, sequence, action, actor_type, actor_id,
        occurred_at, metadata, previous_hash, hash)
    SELECT gen_random_uuid(), id, 1, 'held_created', 'patient', patient_id, now(), '{}', '',
        audit_hash
    FROM held
), announced AS (
    INSERT INTO outbox (id, type, subject, sequence, traceparent, data)
    SELECT gen_random_uuid(), 'booking.held', id::text, 1, repeat('0', 55), jsonb_build_object(
        'id', id, 'version', 1, 'start', starts_at, 'end', ends_at, 'rest', repeat('x', 1000))
    FROM held
)
SELECT coalesce((SELECT id FROM held), '00000000-0000-0000-0000-000000000000') AS id
\gset
WITH held AS MATERIALIZED (
    SELECT id, patient_id, tstzrange(starts_at, ends_at, '[)') AS period FROM appointments
    WHERE id = :id AND version = 1 AND hold_expires_at > now() FOR UPDATE
), claimed AS (
    INSERT INTO patient_claims (appointment_id, patient_id, period)
    SELECT id, patient_id, period FROM held ON CONFLICT DO NOTHING RETURNING appointment_id
), confirmed AS (
    UPDATE appointments SET version = 2, status = 'confirmed', hold_expires_at = NULL,
        reason = 'a cough', audit_sequence = 2, audit_hash = sha256(audit_hash), updated_at = now()
    FROM claimed WHERE id = claimed.appointment_id
    RETURNING id, starts_at, ends_at, patient_id, audit_hash
), kept AS (
    INSERT INTO idempotency_keys (caller, operation, key, fingerprint, status, headers, body)
    SELECT patient_id, 'POST /v1/bookings', left(id::text, 32), audit_hash, 201,
        jsonb_build_object('Location', '/v1/appointments/' || id,
            'content-type', 'application/json'),
        repeat('x', 1150)::bytea
    FROM confirmed
), audited AS (
    INSERT INTO audit_events (id, appointment_id, sequence, action, actor_type, actor_id,
        occurred_at, metadata, previous_hash, hash)
    SELECT gen_random_uuid(), id, 2, 'confirmed', 'patient', patient_id, now(), '{}',
        sha256(uuid_send(id)), audit_hash
    FROM confirmed
)
INSERT INTO outbox (id, type, subject, sequence, traceparent, data)
SELECT gen_random_uuid(), 'booking.confirmed', id::text, 2, repeat('0', 55), jsonb_build_object(
    'id', id, 'version', 2, 'start', starts_at, 'end', ends_at, 'rest', repeat('x', 1000))
FROM confirmed;
