"""Parts of benchmark_step.py, which gpu_report uses as well."""
