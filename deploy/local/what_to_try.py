"""What somebody can do with a system that runs."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from local.calendar_connection import CalendarConnection
from local.demo_data import Clinic
from local.folder import CHECKOUT
from local.radicale import USER
from local.services import SERVICES, Surroundings


def tell_what_to_try(
    say: Callable[[str], None],
    clinic: Clinic,
    calendar: CalendarConnection,
    *,
    folder: Path,
    surroundings: Surroundings,
    base_url: str,
) -> None:
    """Commands that can be pasted into a shell in the checkout."""
    provider, (patient, _) = clinic.providers[0], clinic.patients[0]
    usual = folder == CHECKOUT / ".run"
    shown, which = (".run", "") if usual else (str(folder), f" RUN_DIR={folder}")
    service_id = provider.services[0]["id"]
    tomorrow = datetime.now(ZoneInfo(provider.timezone)).date() + timedelta(days=1)
    curl = f'  curl -H "Authorization: Bearer $TOKEN" "{base_url}/v1'
    say(f"\nThe system is up at {surroundings.public_url}. Ctrl-C ends it. To try next:")
    say(f"  TOKEN=$(make -s token ROLE=patient SUB={patient.id}{which})   # {patient.name}")
    say(f'{curl}/users/{patient.id}/appointments?filter=upcoming"')
    query = f"serviceId={service_id}&date={tomorrow}"
    say(f'{curl}/providers/{provider.id}/availability?{query}"')
    say(f"  make queues{which}   what waits for delivery, and what is parked")
    say(f"  make logs{which}   what every process says ({shown}/logs)")
    say(f"  {shown}/demo.json   every address, id and token, for scripts of your own")
    say(f"  {shown}/mail/new    the e-mails")
    say(f"  {calendar.radicale.url}   the calendar of {calendar.provider.name}, for a browser")
    say(f"    or a calendar application: user {USER}, password {calendar.radicale.password}")
    say(f'{curl}/realtime?channels=user.{patient.id}.bookings" -N   # as it happens')
    say("To build on it: docs/integrating.md (bookings, streams, Pusher, webhooks), README.md")
    say(f"  make status{which}   what is wrong, if anything, and what to do about it")
    say("Each service's own pages, for developers; /metrics is there, and of its worker at:")
    for service in SERVICES:
        worker = f"http://127.0.0.1:{surroundings.worker_ports[service.name]}/metrics"
        address = surroundings.address(service.name)
        say(f"  {service.name:<14} http://{address}/docs   {worker}")
