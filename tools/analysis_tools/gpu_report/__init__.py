"""Everything that a GPU is wanted for, in one command; see ``gpu_report.sh``."""
