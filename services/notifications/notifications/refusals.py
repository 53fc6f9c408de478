"""Why notifications says no."""

from shared.errors import Conflict, Forbidden, NotFound


class UserNotFound(NotFound):
    code = "user_not_found"
    title = "No such user"


class ProviderNotFound(NotFound):
    code = "provider_not_found"
    title = "No such provider"


class LinkNotFound(NotFound):
    code = "link_not_found"
    title = "This link leads nowhere"


class TooManySchedules(Conflict):
    code = "too_many_schedules"
    title = "No further appointment type can have times of its own"


class NotificationNotFound(NotFound):
    code = "notification_not_found"
    title = "No such notification in this inbox"


class DeviceNotFound(NotFound):
    code = "device_not_found"
    title = "No such device"


class TemplateNotFound(NotFound):
    code = "template_not_found"
    title = "No such template"


class CallbackForged(Forbidden):
    code = "callback_forged"
    title = "The signature is not the sender's"
