"""Background tasks on Lambda: the backends of Django's task framework, and what runs the tasks.

`backend.py` enqueues a task: after the transaction's commit (`outbox.py`), it writes the task's
record (`store.py`) and invokes the function asynchronously. `worker.py` runs it.
"""
