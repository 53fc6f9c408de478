"""Set-ups, read only as far as this process does not know them yet."""

from collections.abc import Mapping

from availability.set_up import Asked, SetUp, SetUps
from shared.db import Connection

_SET_UPS = """
SELECT provider.id AS provider_id, service.id AS service_id, versions.set_up_version,
    jsonb_build_object(
        'provider_name', provider.name,
        'timezone', provider.timezone,
        'unhealthy_calendar_policy', provider.unhealthy_calendar_policy,
        'service', to_jsonb(service),
        'listed', ARRAY(
            SELECT location_id FROM appointment_type_locations
            WHERE appointment_type_id = service.id
        ),
        'locations', ARRAY(
            SELECT jsonb_build_object('id', id, 'city', city) FROM locations
            WHERE provider_id = provider.id AND is_active
            ORDER BY is_primary DESC, created_at, id
        ),
        'units', ARRAY(
            SELECT to_jsonb(unit) FROM resources unit
            WHERE unit.provider_id = provider.id AND unit.is_active ORDER BY unit.id
        ),
        'rules', ARRAY(
            SELECT to_jsonb(rule) || jsonb_build_object(
                'created_order', (extract(epoch FROM rule.created_at) * 1000000)::bigint,
                'breaks', ARRAY(
                    SELECT to_jsonb(break) FROM schedule_rule_breaks break
                    WHERE break.schedule_rule_id = rule.id ORDER BY break.start_minute
                )
            )
            FROM schedule_rules rule
            WHERE rule.provider_id = provider.id AND rule.is_active
                AND coalesce(rule.scope_appointment_type_id, service.id) = service.id
                AND coalesce(rule.scope_mode, service.mode) = service.mode
                AND coalesce(rule.effective_to >= now()::date - 2, true)
        )
    ) AS set_up
FROM unnest($1::uuid[], $2::uuid[]) AS asked (provider_id, service_id)
JOIN providers provider ON provider.id = asked.provider_id
JOIN schedule_versions versions ON versions.provider_id = provider.id
JOIN appointment_types service
    ON service.id = asked.service_id AND service.provider_id = provider.id
"""


async def current_set_ups(
    db: Connection, set_ups: SetUps, wanted: Mapping[Asked, int]
) -> dict[Asked, SetUp]:
    """Those that this process knows in the wanted version, and the others as they are now."""
    known = {
        key: found
        for key, version in wanted.items()
        if (found := set_ups.find(*key)) is not None and found.version == version
    }
    if missing := wanted.keys() - known.keys():
        providers, services = (list(column) for column in zip(*missing, strict=True))
        for row in await db.fetch(_SET_UPS, providers, services):
            key = Asked(row["provider_id"], row["service_id"])
            known[key] = SetUp.of(key.provider_id, row["set_up_version"], row["set_up"])
            set_ups.keep(known[key])
    return known
