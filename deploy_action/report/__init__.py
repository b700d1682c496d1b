"""What people and later steps read: the log, the outputs, the summary, the JSON report."""
