"""This process and its machine: files written whole, ports, proxies, Ctrl-C, the terminal's encoding.

Not here: settings (`settings.py`) and the time (`clock.py`).
"""
