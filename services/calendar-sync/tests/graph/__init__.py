"""A double of Microsoft Graph and of Microsoft's OAuth: a real HTTP server on loopback.

Built from what the provider documents and what was seen of it, not from what our code asks.
"""
