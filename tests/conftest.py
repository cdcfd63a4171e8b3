"""Property tests find what is wrong, not what is slow: a busy machine fails none of them."""

from hypothesis import HealthCheck, settings

settings.register_profile("lakelet", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lakelet")
