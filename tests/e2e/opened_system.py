"""``python -m local``, of whose system webhooks may also go to servers of the tests."""

import sys
from unittest.mock import patch

from local.__main__ import main
from local.services import Service, Surroundings

_usual_settings = Surroundings.settings


def _settings(around: Surroundings, service: Service) -> dict[str, str]:
    return _usual_settings(around, service) | {"WEBHOOK_OPENED_HOSTS": "127.0.0.1"}


if __name__ == "__main__":
    with patch.object(Surroundings, "settings", _settings):
        sys.exit(main())
