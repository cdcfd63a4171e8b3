"""What the pipeline measured: metrics under AWS's names, logs, alarms, the bill.

Pure values and SQLite behind one lock each. No thread starts here: the node calls
`flush`, `tick` and `tidy` on its own schedule.
"""
