"""Alerts: what is wrong with agents and archive, who is told of it, and what became of the telling.

``rules`` say what is looked at, ``signs`` what was seen, ``machine`` what that makes of alerts, ``messages`` what is
said: all pure. ``watching`` looks and writes down, ``postman`` sends by ``webhook`` and ``mail``.
"""
