# ruff: noqa: E501 - the text stands as its author would write it
"""The late-flights repository, as a user writes it."""

PROCESS = """\
molecule: 1                        # language version
process: late-flights
description: Keep a table of late departures and tell each airline once.
owner: ops@example.com
trigger:
  type: file.watch
  connection: inbox
  pattern: flights-*.csv.gz
  format: csv
  compression: gzip
  per: document                    # one execution per row; event (the file) and batch(n) are the others
  after: {completed: {move: done/}, failed: {move: failed/}}
options:
  failover: resume
  concurrency: {by: tailnum, limit: 1}
  timeout: 30m
  track: {flight: carrier & flight, plane: tailnum}
steps:
  - id: late
    type: decision
    if: dep_delay != "NA" and $number(dep_delay) > 15
    then:
      - id: airline
        type: lookup
        table: airlines
        by: carrier
        set: {airline: name}
      - id: shape
        type: map
        to:
          flight: carrier & flight
          airline: airline
          minutes: $number(dep_delay)
          at: time_hour
      - id: store
        type: sql.upsert
        connection: warehouse
        table: late_flights
        match: [flight, at]
        exactly_once: true
        timeout: 5s
      - id: tell
        type: http.request
        connection: airline-desk
        method: POST
        path: /late
        effect: once
        timeout: 5s
        retry: {max: 5, first: 1s, cap: 1m, errors: [transient.definite]}
        verify:
          steps: [{id: ask, type: http.request, connection: airline-desk, path: "/late/${flight}/${at}", timeout: 5s}]
          done_if: status = 200
          not_done_if: status = 404
"""

FILES = {
    "processes/late-flights.yaml": PROCESS.encode(),
    "connections/inbox.yaml": b"connection: inbox\nconnector: file\n",
    "connections/warehouse.yaml": b"connection: warehouse\nconnector: sql\n",
    "connections/airline-desk.yaml": (
        b"connection: airline-desk\nconnector: http\noptions: {pool: 20}\n"
    ),
    "tables/airlines.csv": b"carrier,name\nUA,United Air Lines Inc.\nAA,American Airlines Inc.\n",
    "environments/dev.yaml": b"""\
environment: dev
values: {site: A}
connections:
  inbox: {root: /srv/inbox}
  warehouse: {url: "sqlite:////srv/late.db"}
  airline-desk: {base_url: "https://desk.internal"}
triggers: {late-flights: on}
""",
}

ROW = {
    "carrier": "UA",
    "flight": "1545",
    "dep_delay": "42",
    "tailnum": "N14228",
    "time_hour": "2013-01-01T10:00:00Z",
}
