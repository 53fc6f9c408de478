"""What providers set up, what is claimed of it, and what is still to be announced."""

from alembic import op

from shared.migrations import execute_script, idempotency_v1, messaging_v1

revision = "0001"
down_revision = None

# Whatever refers to a location, a room or a type names the provider too, so that the foreign key
# refuses what belongs to somebody else.

SET_UP = """
CREATE TABLE providers (
    id uuid NOT NULL,
    version integer NOT NULL,
    name text NOT NULL,
    email text,
    phone text,
    language text NOT NULL,
    timezone text NOT NULL,
    unhealthy_calendar_policy text NOT NULL DEFAULT 'shown',
    time_off_needs_approval boolean NOT NULL DEFAULT true,
    is_active boolean NOT NULL,
    deleted_at timestamptz,
    completion_policy text NOT NULL DEFAULT 'completed',
    completion_grace_minutes integer NOT NULL DEFAULT 1440,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT providers_pkey PRIMARY KEY (id),
    CONSTRAINT providers_unhealthy_calendar_policy_known
        CHECK (unhealthy_calendar_policy IN ('shown', 'marked', 'closed')),
    CONSTRAINT providers_completion_known
        CHECK (completion_policy IN ('completed', 'no_show', 'none')),
    CONSTRAINT providers_completion_grace_in_range
        CHECK (completion_grace_minutes BETWEEN 0 AND 10080),
    CONSTRAINT providers_deleted_is_inactive CHECK (deleted_at IS NULL OR NOT is_active)
);

CREATE TABLE schedule_versions (
    provider_id uuid NOT NULL,
    version bigint NOT NULL,
    set_up_version bigint NOT NULL,
    CONSTRAINT schedule_versions_pkey PRIMARY KEY (provider_id),
    CONSTRAINT schedule_versions_provider_id_fkey
        FOREIGN KEY (provider_id) REFERENCES providers (id)
);

CREATE TABLE locations (
    id uuid NOT NULL,
    provider_id uuid NOT NULL,
    name text NOT NULL,
    address text,
    city text,
    country text,
    timezone text NOT NULL,
    latitude double precision,
    longitude double precision,
    is_primary boolean NOT NULL,
    is_active boolean NOT NULL,
    deleted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT locations_pkey PRIMARY KEY (id),
    CONSTRAINT locations_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES providers (id),
    CONSTRAINT locations_provider_id_id_key UNIQUE (provider_id, id),
    CONSTRAINT locations_latitude_known CHECK (latitude BETWEEN -90 AND 90),
    CONSTRAINT locations_longitude_known CHECK (longitude BETWEEN -180 AND 180),
    CONSTRAINT locations_deleted_is_inactive CHECK (deleted_at IS NULL OR NOT is_active)
);
CREATE UNIQUE INDEX locations_one_primary_idx ON locations (provider_id) WHERE is_primary;

CREATE TABLE rooms (
    id uuid NOT NULL,
    provider_id uuid NOT NULL,
    location_id uuid NOT NULL,
    name text NOT NULL,
    capacity integer NOT NULL,
    is_virtual boolean NOT NULL,
    is_active boolean NOT NULL,
    deleted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT rooms_pkey PRIMARY KEY (id),
    CONSTRAINT rooms_location_fkey
        FOREIGN KEY (provider_id, location_id) REFERENCES locations (provider_id, id),
    CONSTRAINT rooms_provider_id_id_key UNIQUE (provider_id, id),
    CONSTRAINT rooms_capacity_in_range CHECK (capacity BETWEEN 1 AND 50),
    CONSTRAINT rooms_deleted_is_inactive CHECK (deleted_at IS NULL OR NOT is_active)
);

CREATE TABLE appointment_types (
    id uuid NOT NULL,
    version integer NOT NULL,
    provider_id uuid NOT NULL,
    slug text NOT NULL,
    name text NOT NULL,
    description text,
    mode text NOT NULL,
    duration_minutes integer NOT NULL,
    buffer_before_minutes integer NOT NULL,
    buffer_after_minutes integer NOT NULL,
    price_cents integer NOT NULL,
    currency text NOT NULL,
    requires_approval boolean NOT NULL,
    hold_seconds integer NOT NULL,
    min_notice_minutes integer NOT NULL,
    max_future_days integer NOT NULL,
    allow_patient_reschedule boolean NOT NULL,
    max_reschedule_count integer NOT NULL,
    cancellation_free_until_minutes integer NOT NULL,
    cancellation_fee_cents integer NOT NULL,
    cancellation_fee_percent integer NOT NULL,
    cancellation_cutoff_minutes integer NOT NULL,
    required_equipment text[] NOT NULL,
    default_location_id uuid,
    default_room_id uuid,
    is_active boolean NOT NULL,
    deleted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT appointment_types_pkey PRIMARY KEY (id),
    CONSTRAINT appointment_types_provider_id_fkey
        FOREIGN KEY (provider_id) REFERENCES providers (id),
    CONSTRAINT appointment_types_default_location_fkey
        FOREIGN KEY (provider_id, default_location_id) REFERENCES locations (provider_id, id),
    CONSTRAINT appointment_types_default_room_fkey
        FOREIGN KEY (provider_id, default_room_id) REFERENCES rooms (provider_id, id),
    CONSTRAINT appointment_types_provider_id_id_key UNIQUE (provider_id, id),
    CONSTRAINT appointment_types_mode_known CHECK (mode IN ('in_person', 'video', 'phone')),
    CONSTRAINT appointment_types_duration_in_range CHECK (duration_minutes BETWEEN 5 AND 360),
    CONSTRAINT appointment_types_buffer_before_in_range
        CHECK (buffer_before_minutes BETWEEN 0 AND 240),
    CONSTRAINT appointment_types_buffer_after_in_range
        CHECK (buffer_after_minutes BETWEEN 0 AND 240),
    CONSTRAINT appointment_types_price_not_negative CHECK (price_cents >= 0),
    CONSTRAINT appointment_types_hold_in_range CHECK (hold_seconds BETWEEN 60 AND 900),
    CONSTRAINT appointment_types_notice_in_range CHECK (min_notice_minutes BETWEEN 0 AND 43200),
    CONSTRAINT appointment_types_future_in_range CHECK (max_future_days BETWEEN 1 AND 365),
    CONSTRAINT appointment_types_reschedules_in_range CHECK (max_reschedule_count BETWEEN 0 AND 20),
    CONSTRAINT appointment_types_cancellation_in_range CHECK (
        cancellation_free_until_minutes >= 0 AND cancellation_fee_cents >= 0
        AND cancellation_fee_percent BETWEEN 0 AND 100 AND cancellation_cutoff_minutes >= 0
    ),
    CONSTRAINT appointment_types_deleted_is_inactive CHECK (deleted_at IS NULL OR NOT is_active)
);
CREATE UNIQUE INDEX appointment_types_slug_idx ON appointment_types (provider_id, slug)
    WHERE deleted_at IS NULL;

CREATE TABLE appointment_type_locations (
    provider_id uuid NOT NULL,
    appointment_type_id uuid NOT NULL,
    location_id uuid NOT NULL,
    CONSTRAINT appointment_type_locations_pkey PRIMARY KEY (appointment_type_id, location_id),
    CONSTRAINT appointment_type_locations_type_fkey
        FOREIGN KEY (provider_id, appointment_type_id)
        REFERENCES appointment_types (provider_id, id) ON DELETE CASCADE,
    CONSTRAINT appointment_type_locations_location_fkey
        FOREIGN KEY (provider_id, location_id) REFERENCES locations (provider_id, id)
);

CREATE TABLE resources (
    id uuid NOT NULL,
    version integer NOT NULL,
    provider_id uuid NOT NULL,
    kind text NOT NULL,
    label text NOT NULL,
    location_id uuid,
    room_id uuid,
    is_active boolean NOT NULL,
    deleted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT resources_pkey PRIMARY KEY (id),
    CONSTRAINT resources_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES providers (id),
    CONSTRAINT resources_location_fkey
        FOREIGN KEY (provider_id, location_id) REFERENCES locations (provider_id, id),
    CONSTRAINT resources_room_fkey
        FOREIGN KEY (provider_id, room_id) REFERENCES rooms (provider_id, id),
    CONSTRAINT resources_kind_known
        CHECK (kind IN ('staff', 'room', 'telehealth_slot', 'equipment')),
    CONSTRAINT resources_room_has_place
        CHECK (kind <> 'room' OR (room_id IS NOT NULL AND location_id IS NOT NULL)),
    CONSTRAINT resources_deleted_is_inactive CHECK (deleted_at IS NULL OR NOT is_active)
);
CREATE INDEX resources_provider_id_idx ON resources (provider_id);

CREATE TABLE schedule_rules (
    id uuid NOT NULL,
    provider_id uuid NOT NULL,
    timezone text NOT NULL,
    scope_appointment_type_id uuid,
    scope_location_id uuid,
    scope_room_id uuid,
    scope_mode text,
    weekday integer NOT NULL,
    start_minute integer NOT NULL,
    end_minute integer NOT NULL,
    slot_interval_minutes integer NOT NULL,
    priority integer NOT NULL,
    effective_from date,
    effective_to date,
    is_active boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT schedule_rules_pkey PRIMARY KEY (id),
    CONSTRAINT schedule_rules_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES providers (id),
    CONSTRAINT schedule_rules_scope_type_fkey
        FOREIGN KEY (provider_id, scope_appointment_type_id)
        REFERENCES appointment_types (provider_id, id),
    CONSTRAINT schedule_rules_scope_location_fkey
        FOREIGN KEY (provider_id, scope_location_id) REFERENCES locations (provider_id, id),
    CONSTRAINT schedule_rules_scope_room_fkey
        FOREIGN KEY (provider_id, scope_room_id) REFERENCES rooms (provider_id, id),
    CONSTRAINT schedule_rules_scope_mode_known
        CHECK (scope_mode IN ('in_person', 'video', 'phone')),
    CONSTRAINT schedule_rules_weekday_known CHECK (weekday BETWEEN 1 AND 7),
    CONSTRAINT schedule_rules_end_after_start
        CHECK (start_minute >= 0 AND end_minute > start_minute AND end_minute <= 1440),
    CONSTRAINT schedule_rules_interval_in_range CHECK (slot_interval_minutes BETWEEN 5 AND 60),
    CONSTRAINT schedule_rules_effective_in_order CHECK (effective_to >= effective_from)
);
CREATE INDEX schedule_rules_provider_id_weekday_idx ON schedule_rules (provider_id, weekday);

CREATE TABLE schedule_rule_breaks (
    id uuid NOT NULL,
    schedule_rule_id uuid NOT NULL,
    start_minute integer NOT NULL,
    end_minute integer NOT NULL,
    label text,
    CONSTRAINT schedule_rule_breaks_pkey PRIMARY KEY (id),
    CONSTRAINT schedule_rule_breaks_schedule_rule_id_fkey
        FOREIGN KEY (schedule_rule_id) REFERENCES schedule_rules (id) ON DELETE CASCADE,
    CONSTRAINT schedule_rule_breaks_end_after_start
        CHECK (start_minute >= 0 AND end_minute > start_minute AND end_minute <= 1440)
);
CREATE INDEX schedule_rule_breaks_schedule_rule_id_idx ON schedule_rule_breaks (schedule_rule_id);

CREATE TABLE availability_exceptions (
    id uuid NOT NULL,
    provider_id uuid NOT NULL,
    kind text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    scope_appointment_type_id uuid,
    scope_location_id uuid,
    scope_room_id uuid,
    reason text,
    source text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT availability_exceptions_pkey PRIMARY KEY (id),
    CONSTRAINT availability_exceptions_provider_id_fkey
        FOREIGN KEY (provider_id) REFERENCES providers (id),
    CONSTRAINT availability_exceptions_scope_type_fkey
        FOREIGN KEY (provider_id, scope_appointment_type_id)
        REFERENCES appointment_types (provider_id, id),
    CONSTRAINT availability_exceptions_scope_location_fkey
        FOREIGN KEY (provider_id, scope_location_id) REFERENCES locations (provider_id, id),
    CONSTRAINT availability_exceptions_scope_room_fkey
        FOREIGN KEY (provider_id, scope_room_id) REFERENCES rooms (provider_id, id),
    CONSTRAINT availability_exceptions_kind_known CHECK (kind IN ('blocked', 'available')),
    CONSTRAINT availability_exceptions_source_known CHECK (source IN ('manual', 'time_off')),
    CONSTRAINT availability_exceptions_end_after_start CHECK (ends_at > starts_at)
);
CREATE INDEX availability_exceptions_provider_id_ends_at_idx
    ON availability_exceptions (provider_id, ends_at);

CREATE TABLE time_off_requests (
    id uuid NOT NULL,
    provider_id uuid NOT NULL,
    status text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    reason text,
    decided_by uuid,
    decided_at timestamptz,
    exception_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT time_off_requests_pkey PRIMARY KEY (id),
    CONSTRAINT time_off_requests_provider_id_fkey
        FOREIGN KEY (provider_id) REFERENCES providers (id),
    CONSTRAINT time_off_requests_exception_id_fkey
        FOREIGN KEY (exception_id) REFERENCES availability_exceptions (id),
    CONSTRAINT time_off_requests_status_known
        CHECK (status IN ('pending', 'approved', 'rejected', 'withdrawn')),
    CONSTRAINT time_off_requests_end_after_start CHECK (ends_at > starts_at),
    CONSTRAINT time_off_requests_approved_is_blocked
        CHECK ((status = 'approved') = (exception_id IS NOT NULL))
);
CREATE INDEX time_off_requests_provider_id_starts_at_idx
    ON time_off_requests (provider_id, starts_at);
"""

# What other services tell comes in any order, so it refers to nothing that might not be there yet.

READ_MODELS = """
CREATE TABLE appointments (
    id uuid NOT NULL,
    version integer NOT NULL,
    status text NOT NULL,
    provider_id uuid NOT NULL,
    user_id uuid NOT NULL,
    service_id uuid NOT NULL,
    timeslot_id text NOT NULL,
    mode text NOT NULL,
    location_id uuid,
    room_id uuid,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    hold_expires_at timestamptz,
    CONSTRAINT appointments_pkey PRIMARY KEY (id),
    CONSTRAINT appointments_status_known
        CHECK (status IN ('held', 'pending', 'confirmed', 'completed', 'cancelled', 'no_show')),
    CONSTRAINT appointments_hold_ends CHECK (status <> 'held' OR hold_expires_at IS NOT NULL)
);
CREATE INDEX appointments_provider_id_starts_at_idx ON appointments (provider_id, starts_at);
CREATE INDEX appointments_held_idx ON appointments (provider_id) WHERE status = 'held';

CREATE TABLE claims (
    appointment_id uuid NOT NULL,
    resource_id uuid NOT NULL,
    provider_id uuid NOT NULL,
    kind text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    hold_expires_at timestamptz,
    span bytea NOT NULL GENERATED ALWAYS AS (
        int4send(floor(extract(epoch FROM starts_at - timestamptz '1970-01-01 00:00Z') / 60)::int)
        || int4send(ceil(extract(epoch FROM ends_at - timestamptz '1970-01-01 00:00Z') / 60)::int)
    ) STORED,
    CONSTRAINT claims_pkey PRIMARY KEY (appointment_id, resource_id),
    CONSTRAINT claims_appointment_id_fkey
        FOREIGN KEY (appointment_id) REFERENCES appointments (id) ON DELETE CASCADE
);
CREATE INDEX claims_provider_id_starts_at_idx ON claims (provider_id, starts_at);
CREATE INDEX claims_booked_idx ON claims (resource_id, starts_at) INCLUDE (span)
    WHERE hold_expires_at IS NULL;
CREATE INDEX claims_held_idx ON claims (provider_id) WHERE hold_expires_at IS NOT NULL;

CREATE TABLE external_busy_times (
    id uuid NOT NULL,
    provider_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    external_id text NOT NULL,
    source text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    CONSTRAINT external_busy_times_pkey PRIMARY KEY (id),
    CONSTRAINT external_busy_times_one_each_key
        UNIQUE (connection_id, external_id, starts_at),
    CONSTRAINT external_busy_times_end_after_start CHECK (ends_at > starts_at)
);
CREATE INDEX external_busy_times_provider_id_ends_at_idx
    ON external_busy_times (provider_id, ends_at);

CREATE TABLE external_busy_spans (
    connection_id uuid NOT NULL,
    starts_at timestamptz NOT NULL,
    version integer NOT NULL,
    CONSTRAINT external_busy_spans_pkey PRIMARY KEY (connection_id, starts_at)
);

CREATE TABLE calendar_sources (
    connection_id uuid NOT NULL,
    provider_id uuid NOT NULL,
    kind text NOT NULL,
    version integer NOT NULL,
    state text NOT NULL,
    as_of timestamptz,
    CONSTRAINT calendar_sources_pkey PRIMARY KEY (connection_id),
    CONSTRAINT calendar_sources_state_known CHECK (state IN ('connected', 'broken', 'deleted'))
);
CREATE INDEX calendar_sources_provider_id_idx ON calendar_sources (provider_id);

CREATE TABLE schedule_changes (
    id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    provider_id uuid NOT NULL,
    starts_at timestamptz,
    ends_at timestamptz,
    CONSTRAINT schedule_changes_pkey PRIMARY KEY (id)
);
"""


def upgrade() -> None:
    messaging_v1(op)
    idempotency_v1(op)
    execute_script(op, SET_UP)
    execute_script(op, READ_MODELS)
