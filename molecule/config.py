"""What a node is told: its identity, folders, peers, timings and limits. Layer 0, no I/O.

`NodeConfig` is built from a mapping (the parsed file) and the environment (`MOLECULE_*`); roots
read both. Every bound of the product is a named field of `Limits`, every duration of `Timing`.
"""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

NODE_NAME: Final = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
Name = Annotated[str, Field(pattern=NODE_NAME)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Timing(_Settings):
    """Durations in milliseconds. The profile `relaxed` multiplies all of them by four."""

    election_min_ms: int = Field(300, ge=50)
    election_max_ms: int = Field(600, ge=100)
    step_down_ms: int = Field(600, ge=100)
    raft_keepalive_ms: int = Field(100, ge=10)
    heartbeat_ms: int = Field(250, ge=20)
    lease_ms: int = Field(2500, ge=500)
    lease_margin_ms: int = Field(250, ge=50)
    link_ping_ms: int = Field(500, ge=50)
    link_silence_ms: int = Field(2000, ge=200)
    link_redial_max_ms: int = Field(1000, ge=50)

    def scaled(self, factor: int) -> "Timing":
        """Every duration times `factor`."""
        return Timing(**{name: value * factor for name, value in self.model_dump().items()})

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.election_min_ms >= self.election_max_ms:
            message = "election_min_ms must be below election_max_ms"
            raise ValueError(message)
        if self.heartbeat_ms * 3 > self.lease_ms:
            message = "lease_ms must be at least three heartbeats"
            raise ValueError(message)
        return self


class Limits(_Settings):
    """Every bound on a wait, queue, retry or size. A refusal names the field."""

    submission_body_bytes_max: int = 8 * 1024 * 1024
    submissions_per_batch_max: int = 1000
    documents_per_submission_max: int = 100_000
    payload_inline_bytes_max: int = 16 * 1024
    document_bytes_max: int = 64 * 1024 * 1024
    package_bytes_max: int = 4 * 1024 * 1024
    idempotency_key_length_max: int = 256
    concurrency_key_length_max: int = 256
    track_fields_max: int = 16
    track_value_length_max: int = 256
    reason_length_max: int = 1024
    pending_executions_max: int = 1_000_000
    pending_per_process_max: int = 500_000
    dedup_keys_max: int = 200_000
    dedup_window_ms: int = 3_600_000
    dedup_window_ms_min: int = 10_000
    dedup_window_ms_max: int = 30 * 86_400_000
    waiters_max: int = 10_000
    wait_ms_max: int = 60_000
    entry_commands_max: int = 1_200
    entry_commands_gathered_max: int = 300
    entry_bytes_max: int = 4 * 1024 * 1024
    proposals_queued_max: int = 50_000
    forward_requests_max: int = 4
    session_messages_max: int = 20_000
    heartbeats_remembered_max: int = 64
    read_index_ms_max: int = 3_000
    report_ms_max: int = 30_000
    death_report_call_ms_max: int = 3_000
    hand_over_ms_max: int = 1_000
    stop_drain_ask_ms_max: int = 1_500
    stop_drain_ms_max: int = 8_000
    drain_ms_default: int = 60_000
    drain_ms_max: int = 86_400_000
    clock_offset_ms_max: int = 2_000
    """A voter further off the median of all raises an alarm and does not lead."""
    drain_plan_items_max: int = 1_000
    change_members_ms_max: int = 10_000
    join_token_ms_default: int = 3_600_000
    join_token_ms_max: int = 604_800_000
    documents_missing_told_max: int = 10_000
    documents_missing_ms_max: int = 10_000
    worker_word_ms_max: int = 60_000
    worker_reply_ms_max: int = 60_000
    worker_messages_max: int = 50_000
    packages_cached_max: int = 256
    metric_process_labels_max: int = 200
    page_size_max: int = 1_000
    timeline_rows_per_execution_max: int = 2_000
    timeline_text_length_max: int = 2_000
    trigger_error_length_max: int = 300
    late_words_told_max: int = 20
    dead_letters_per_execution_max: int = 1_000
    intents_open_per_execution_max: int = 1_000
    flush_rows_max: int = 6_000
    flush_interval_ms: int = 300
    flush_slice_rows: int = 256
    apply_slice_ms: int = 5
    plan_commands_per_round_max: int = 256
    plan_nodes_not_chosen_max: int = 16
    door_wait_for_leader_ms: int = 15_000
    door_answer_ms: int = 1_000
    door_repeat_ms: int = 100
    probe_ms_max: int = 2_000
    http_requests_max: int = 12_000
    http_header_bytes_max: int = 32 * 1024
    http_header_ms_max: int = 10_000
    http_body_ms_max: int = 30_000
    http_small_body_bytes_max: int = 256 * 1024
    http_idle_ms_max: int = 75_000
    http_stop_ms_max: int = 5_000
    http_bind_ms_max: int = 3_000
    listeners_kept_ms: int = 1_000
    answers_per_resolution_max: int = 1_000
    files_per_package_max: int = 1_000
    filter_length_max: int = 512
    worker_start_ms_max: int = 30_000
    own_workers_max: int = 4
    worker_memory_bytes_max: int = 4 * 1024 * 1024 * 1024
    own_worker_memory_bytes_max: int = 2 * 1024 * 1024 * 1024
    worker_memory_sample_ms: int = 100
    expression_ms_max: int = 1_000
    expression_depth_max: int = 200
    expression_steps_max: int = 1_000_000
    expression_items_max: int = 1_000_000
    expression_length_max: int = 32_768
    template_braces_max: int = 100
    operation_timeout_default_ms: int = 30_000
    expression_result_bytes_max: int = 16 * 1024 * 1024
    yaml_bytes_max: int = 2 * 1024 * 1024
    yaml_depth_max: int = 50
    yaml_events_max: int = 200_000
    steps_per_process_max: int = 500
    paths_per_step_max: int = 50
    call_depth_max: int = 8
    findings_max: int = 100
    wait_in_worker_ms_max: int = 2_000
    awaited_per_execution_max: int = 1_000
    gate_wait_ms_max: int = 4_000
    gate_asked_again_ms: int = 1_000
    gate_attempts_kept_max: int = 10_000
    gate_waiting_seen_per_round_max: int = 256
    signals_per_execution_max: int = 1_000
    table_rows_max: int = 50_000
    table_row_bytes_max: int = 4 * 1024
    tables_bytes_max: int = 16 * 1024 * 1024
    claims_max: int = 100_000
    cache_entries_max: int = 10_000
    cache_bytes_max: int = 64 * 1024 * 1024
    signal_body_bytes_max: int = 1024 * 1024
    retry_attempts_max: int = 100
    retry_default_max: int = 5
    retry_default_first_ms: int = 250
    retry_default_cap_ms: int = 10_000
    effects_per_checkpoint_max: int = 500
    step_timeout_ms: int = 30_000
    schedule_missed_max: int = 1_000
    staged_rows_max: int = 50_000
    staged_bytes_max: int = 64 * 1024 * 1024
    document_small_bytes_max: int = 8 * 1024
    document_puts_queued_max: int = 1_000
    document_reads_max: int = 8
    document_digests_per_call_max: int = 10_000
    document_pin_ms: int = 3_600_000
    document_put_ms_max: int = 10_000
    document_get_ms_max: int = 10_000
    document_learner_ms_max: int = 500
    document_repairs_max: int = 4
    document_repair_every_ms: int = 5_000
    document_collect_every_ms: int = 600_000
    documents_damaged_max: int = 100
    purge_slice_executions_max: int = 100
    purge_command_executions_max: int = 500
    purge_pages_max: int = 512
    storage_full_pause_ms: int = 500
    snapshot_chunk_bytes_max: int = 256 * 1024
    link_queue_bytes_max: int = 32 * 1024 * 1024
    link_batch_bytes_max: int = 1024 * 1024
    rpc_message_bytes_max: int = 16 * 1024 * 1024
    rpc_metadata_bytes_max: int = 128 * 1024
    rpc_calls_max: int = 10_000
    volatile_executions_max: int = Field(64, ge=1, le=10_000, description="at once on this node")
    volatile_tries_max: int = Field(3, ge=1, le=10)
    volatile_bytes_max: int = Field(8 * 1024 * 1024, ge=64 * 1024, le=12 * 1024 * 1024)
    volatile_grace_ms: int = Field(300, ge=0, le=5_000)
    volatile_steps_told_max: int = Field(50, ge=0, le=100)
    volatile_sample_every: int = Field(100, ge=0, le=1_000_000, description="1: all; 0: none")
    volatile_records_max: int = Field(50, ge=1, le=1_000, description="in one report of a node")
    volatile_record_bytes_max: int = Field(4 * 1024, ge=512, le=4 * 1024)
    volatile_report_ms: int = Field(1_000, ge=100, le=60_000)


_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_TEN_YEARS_MS: Final = 3_660 * _DAY_MS
_GB: Final = 1024**3


class Headroom(_Settings):
    """How full the disk of the fullest voter may be, and what is kept back on each.

    What was accepted, purge and changes of membership go on out of the reserve; new work does not.
    """

    reserve_percent: int = Field(2, ge=0, le=20, description="of the volume")
    reserve_bytes_min: int = Field(512 * 1024 * 1024, ge=64 * 1024)
    reserve_held_from_percent: int = Field(
        50, ge=0, le=95, description="from here on the reserve is a file of real blocks"
    )
    purge_early_percent: int = Field(80, ge=1, le=99)
    documents_refused_percent: int = Field(90, ge=1, le=99)
    submissions_refused_percent: int = Field(95, ge=1, le=100)
    measure_every_ms: int = Field(1_000, ge=50, le=60_000)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        rising = (
            self.purge_early_percent,
            self.documents_refused_percent,
            self.submissions_refused_percent,
        )
        if list(rising) != sorted(set(rising)):
            message = (
                "purge_early_percent, documents_refused_percent and submissions_refused_percent"
                " must rise in this order"
            )
            raise ValueError(message)
        return self


def _kept(days: int) -> Any:
    return Field(days * _DAY_MS, ge=1_000, le=_TEN_YEARS_MS)


def _at_most(size_bytes: int) -> Any:
    return Field(size_bytes, ge=64 * 1024)


class Retention(_Settings):
    """How long and how much is kept of what has ended, by class. The leader's settings count.

    What is parked, and dead letters that nobody has settled, are never purged.
    """

    completed_documents_ms: int = _kept(7)
    failed_documents_ms: int = _kept(30)
    timelines_ms: int = _kept(30)
    history_ms: int = _kept(90)
    completed_documents_bytes_max: int = _at_most(20 * _GB)
    failed_documents_bytes_max: int = _at_most(20 * _GB)
    timelines_bytes_max: int = _at_most(10 * _GB)
    history_bytes_max: int = _at_most(10 * _GB)
    early_floor_ms: int = Field(
        _HOUR_MS,
        ge=1_000,
        le=_TEN_YEARS_MS,
        description="even an early purge leaves what ended within this time",
    )
    every_ms: int = Field(60_000, ge=100, le=_HOUR_MS)
    measure_every_ms: int = Field(60_000, ge=100, le=_HOUR_MS)

    def kept_ms(self, retention_class: str) -> int:
        """How long this class is kept."""
        return int(getattr(self, f"{retention_class}_ms"))

    def bytes_max(self, retention_class: str) -> int:
        """How much of this class is kept on a voter."""
        return int(getattr(self, f"{retention_class}_bytes_max"))


class Peer(_Settings):
    """Where another voter's internal port is."""

    id: Name
    rpc: str = Field(description="host:port of the internal gRPC port")


class TlsFiles(_Settings):
    """PEM files. The certificate's SPIFFE URI must name this cluster and this node."""

    ca: str
    certificate: str
    key: str


class NodeConfig(_Settings):
    """One node. Relative paths are taken from the configuration file's folder by the root."""

    cluster: Name = "molecule"
    id: Name
    data: str
    rpc: str = "127.0.0.1:7400"
    http: str = "127.0.0.1:7443"
    peers: tuple[Peer, ...] = Field(
        (), description="every voter, this node included; empty: a cluster of one"
    )
    role: Literal["voter", "worker"] = Field(
        "voter", description="worker: no vote, log or state; `peers` are voters, without this node"
    )
    join: bool = Field(
        False, description="this node joins a cluster that exists; `peers` are members of it"
    )
    labels: dict[str, str] = {}
    zone: str = ""
    slots: int = Field(128, ge=1, le=10_000, description="executions at once on this node")
    workers: int = Field(1, ge=1, le=64)
    tls: TlsFiles
    http_tls: TlsFiles | None = Field(None, description="default: the same files as `tls`")
    ca_key: str | None = Field(
        None, description="PEM key of the authority in `tls.ca`; a node that has it signs newcomers"
    )
    admin_token_file: str = Field(description="holds the sha256 (hex) of the admin token")
    timing_profile: Literal["normal", "relaxed"] = "normal"
    timing: Timing = Timing()
    limits: Limits = Limits()
    headroom: Headroom = Headroom()
    retention: Retention = Retention()
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("limits")
    @classmethod
    def _nothing_unlimited(cls, limits: Limits) -> Limits:
        small = [name for name, value in limits.model_dump().items() if value < 1]
        if small:
            message = f"{', '.join(small)} must be at least 1; no limit can be switched off"
            raise ValueError(message)
        return limits

    @model_validator(mode="after")
    def _self_among_peers(self) -> Self:
        if self.join and self.role == "worker":
            message = "a worker node needs no join: it has no vote"
            raise ValueError(message)
        if self.join or self.role == "worker":
            if not self.peers or self.id in {peer.id for peer in self.peers}:
                message = "with join or role: worker, peers must name members other than this node"
                raise ValueError(message)
            return self
        if self.peers and self.id not in {peer.id for peer in self.peers}:
            message = f"peers must name this node ({self.id}) too"
            raise ValueError(message)
        if len({peer.id for peer in self.peers}) != len(self.peers):
            message = "a peer is named twice"
            raise ValueError(message)
        if len(self.peers) % 2 == 0 and self.peers:
            message = f"{len(self.peers)} voters: use 1, 3, 5 or 7, an even number adds no safety"
            raise ValueError(message)
        return self

    @property
    def voters(self) -> tuple[str, ...]:
        """Ids of all voters in order; this node alone when no peers are named."""
        return tuple(sorted(peer.id for peer in self.peers)) or (self.id,)

    @property
    def effective_timing(self) -> Timing:
        """The timings of the profile."""
        return self.timing.scaled(4) if self.timing_profile == "relaxed" else self.timing
