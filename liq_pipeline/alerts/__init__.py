"""What is worth telling somebody, when to keep quiet, and how it is sent.

Not here: when we look (`orchestration.alert_sensors`).
"""
