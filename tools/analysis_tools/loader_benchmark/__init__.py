"""Parts of benchmark_loader.py."""
