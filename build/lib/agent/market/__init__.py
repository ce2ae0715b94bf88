"""Markets: history read from files, and models and resampling that paths are drawn from."""
