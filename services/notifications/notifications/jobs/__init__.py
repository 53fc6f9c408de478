"""The only package that writes notification_jobs and notification_deliveries.

Nothing is locked while a message is on its way: a job is leased, and whoever loses the lease can no
longer decide what becomes of it.
"""
