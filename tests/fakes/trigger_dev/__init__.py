from .app import TriggerDev  # noqa: F401
