"""REST for callers and probes, in the gateway process. Layer 6: imports model, config and wire.

Start with `application.py` (how it is put together), then `executions.py` and `submissions.py`.
What the node process answers through the door for each resource is declared in `shapes.py`:

    Read   health        Readiness           Read   executions    ExecutionPage
           metrics       {"text": …}                execution     Execution
           cluster       ClusterShape               timeline      TimelinePage
           nodes         NodePage                   deadletters   DeadLetterPage
           node          NodeShape                  deadletter    DeadLetter
           processes     ProcessPage         Act    apply         Applied
           process       ProcessShape               cancel        Execution
                                                    resolve       Execution

Queries of a read arrive as text: `since` and `until` in milliseconds, `state` in capitals and
separated by commas, `limit` within `page_size_max`, business keys as `track.NAME`. `fresh` is a
field of its own.
"""
