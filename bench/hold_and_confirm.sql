-- What a hold and its confirmation cost PostgreSQL alone: two statements, a transaction each.
\set unit random(1, 1000000)
\set slot random(0, 17000)
WITH new AS (
    SELECT gen_random_uuid() AS id,
        lpad(to_hex(:unit::bigint), 32, '0')::uuid AS unit_id,
        now() + :slot::integer * interval '30 minutes' AS start
), claimed AS (
    INSERT INTO yardstick.claims (appointment_id, unit_id, period)
    SELECT id, unit_id, tstzrange(start, start + interval '30 minutes', '[)') FROM new
    ON CONFLICT DO NOTHING RETURNING appointment_id
), held AS (
    INSERT INTO yardstick.appointments (id, version, status, patient_id, starts_at, ends_at, terms)
    SELECT id, 1, 'held', gen_random_uuid(), start, start + interval '30 minutes',
        jsonb_build_object('serviceTitle', 'Consultation', 'rest', repeat('x', 400))
    FROM new JOIN claimed ON claimed.appointment_id = new.id
    RETURNING id, starts_at, ends_at
), audited AS (
    INSERT INTO yardstick.audit_events (id, appointment_id, sequence, action, hash)
    SELECT gen_random_uuid(), id, 1, 'held_created', sha256(uuid_send(id)) FROM held
), announced AS (
    INSERT INTO yardstick.outbox (id, type, subject, sequence, data)
    SELECT gen_random_uuid(), 'booking.held', id::text, 1, jsonb_build_object(
        'id', id, 'version', 1, 'start', starts_at, 'end', ends_at, 'rest', repeat('x', 1000))
    FROM held
)
SELECT id FROM held
\gset
WITH confirmed AS (
    UPDATE yardstick.appointments SET version = 2, status = 'confirmed'
    WHERE id = :id AND version = 1 RETURNING id, starts_at, ends_at
), audited AS (
    INSERT INTO yardstick.audit_events (id, appointment_id, sequence, action, hash)
    SELECT gen_random_uuid(), id, 2, 'confirmed', sha256(uuid_send(id)) FROM confirmed
)
INSERT INTO yardstick.outbox (id, type, subject, sequence, data)
SELECT gen_random_uuid(), 'booking.confirmed', id::text, 2, jsonb_build_object(
    'id', id, 'version', 2, 'start', starts_at, 'end', ends_at, 'rest', repeat('x', 1000))
FROM confirmed;
