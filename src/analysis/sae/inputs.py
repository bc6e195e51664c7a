"""What every estimator of the package asks of its input, checked once at the border."""


class SaeError(ValueError):
    """Input that a small area model cannot be fitted to; the message says where and what to do."""
