"""Why webhooks say no."""

from shared.errors import Conflict, NotFound, Unavailable


class WebhookEndpointNotFound(NotFound):
    code = "webhook_endpoint_not_found"
    title = "No such webhook endpoint"


class TooManyWebhookEndpoints(Conflict):
    code = "too_many_webhook_endpoints"
    title = "There are as many webhook endpoints as there may be"


class WebhookEndpointDisabled(Conflict):
    code = "webhook_endpoint_disabled"
    title = "The webhook endpoint is disabled"


class WebhooksNotOffered(Unavailable):
    code = "webhooks_not_offered"
    title = "Webhooks are not set up here"
    retry_after = 3600
