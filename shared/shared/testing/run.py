"""What is the same for a whole run of the tests."""

import os
from datetime import UTC, datetime

TODAY = datetime.now(UTC)
"""When it was started, so that no day changes while it lasts."""
NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
"""More made-up cases and longer stories, and new ones in each run."""
