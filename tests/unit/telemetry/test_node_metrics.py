"""What a node's metrics say, as Prometheus scrapes it."""

from molecule.config import Limits
from molecule.telemetry.node_metrics import NodeMetrics


def test_processes_beyond_the_limit_share_one_label() -> None:
    metrics = NodeMetrics(software="1", limits=Limits(metric_process_labels_max=1))
    for process in ("orders", "orders", "late", "wishes"):
        metrics.accepted(process)
    text = metrics.render().decode()
    assert 'molecule_accepted_total{process="orders"} 2.0' in text
    assert 'molecule_accepted_total{process="other"} 2.0' in text
    assert 'process="late"' not in text


def test_failures_of_triggers_are_those_that_run_here_now() -> None:
    metrics = NodeMetrics(software="1", limits=Limits(metric_process_labels_max=1))
    metrics.triggers.failures({"files": 2, "late": 5, "wishes": 3})
    text = metrics.render().decode()
    assert 'molecule_trigger_failures{process="files"} 2.0' in text
    assert 'molecule_trigger_failures{process="other"} 5.0' in text
    metrics.triggers.failures({"files": 0})
    text = metrics.render().decode()
    assert 'molecule_trigger_failures{process="files"} 0.0' in text
    assert 'molecule_trigger_failures{process="other"}' not in text


def test_deaths_of_workers_are_counted_by_their_cause() -> None:
    metrics = NodeMetrics(software="1", limits=Limits())
    metrics.worker_died("SIGKILL")
    assert 'molecule_worker_restarts_total{reason="SIGKILL"} 1.0' in metrics.render().decode()
