"""The registration of one upload, start to end: the only place that moves a version through its states.

    pending ──claim──▶ inspecting ──finish──▶ ready
                           │  ▲
                           │  └─ claimed again: by a later delivery, once the lease of the last claim is over
                           └──fail──▶ failed

Deliveries come twice, out of order, and to workers that die half-way. What makes that harmless:

- an object version becomes at most one version of a model, and a version comes from one object version;
- a claim is a lease, fenced by the time of its making: who lost it can neither finish nor fail the version;
- `ready` and `failed` are final, so a later delivery changes nothing;
- every step before them may be repeated, because it writes the same files under the same keys.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from modelyard.db.engine import Database
from modelyard.intake.verdict import Limits, Refused
from modelyard.kit.clock import Clock, utc_now
from modelyard.registry.artifacts import ArtifactStore, ObjectMissing, ObjectTooLarge, ObjectVersion
from modelyard.registry.claims import LEASE, Claim, Claims, Finished, Outcome, Rejected, Settled, Superseded
from modelyard.registry.inspector import Accepted, Inspection, InspectionCrashed, Inspector, RefusedFile
from modelyard.registry.names import FILENAME_RULE, is_filename
from modelyard.registry.notifications import Arrival
from modelyard.registry.routes import RouteBook
from modelyard.telemetry.log import logger

URL_SECONDS = 600
MAX_CRASHES = 3
"""So many deliveries whose inspection crashed make a failed version: then it is the file."""

OnnxGate = Callable[..., object]
"""`modelyard.intake.onnx_gate.check`: raises `Refused`."""


class Registration:
    def __init__(
        self,
        *,
        database: Database,
        store: ArtifactStore,
        inspector: Inspector,
        routes: RouteBook,
        check_onnx: OnnxGate,
        limits: Limits,
        clock: Clock = utc_now,
        lease: timedelta = LEASE,
    ) -> None:
        self._claims = Claims(database, clock=clock, lease=lease)
        self._store = store
        self._inspector = inspector
        self._routes = routes
        self._check_onnx = check_onnx
        self._limits = limits

    def register(self, arrival: Arrival, *, attempt: int = 1) -> Outcome:
        """Registers one object version; safe to call any number of times, also at once.

        `attempt` counts the deliveries of the message. Raises where the platform is at fault: deliver again.
        """
        claim = self._claims.claim(arrival)
        if isinstance(claim, Settled):
            logger.info("upload settled", outcome=claim.outcome, why=claim.why, key=arrival.key)
            if claim.publish is not None:
                self._routes.publish(*claim.publish)
            return claim.outcome
        try:
            outcome = self._work(claim, attempt)
        except Superseded:
            outcome = Outcome.SUPERSEDED
        except Exception:
            self._release(claim)
            raise
        logger.info(
            "upload registered",
            outcome=outcome,
            user_id=claim.user_id,
            model_id=claim.model_id,
            version_id=claim.version_id,
        )
        if outcome is Outcome.READY:
            self._routes.publish(claim.user_id, claim.model_id)
        return outcome

    def _work(self, claim: Claim, attempt: int) -> Outcome:
        try:
            self._claims.finish(claim, self._examine(claim))
        except Rejected as rejected:
            self._claims.fail(claim, rejected)
            return Outcome.FAILED
        except InspectionCrashed as error:
            if attempt < MAX_CRASHES:
                raise
            logger.error("inspection gave up", version_id=claim.version_id, why=str(error))
            self._claims.fail(claim, _crashed())
            return Outcome.FAILED
        return Outcome.READY

    def _release(self, claim: Claim) -> None:
        try:
            self._claims.release(claim)
        except Superseded:
            pass
        except Exception:  # the lease ends by itself
            logger.exception("claim not released", version_id=claim.version_id)

    def _examine(self, claim: Claim) -> Finished:
        """Everything between claim and finish. Raises `Rejected` for the file's faults, others for ours."""
        if not is_filename(claim.filename):
            raise Rejected("upload_path", f"The file is not named as it should be: {FILENAME_RULE}. {_DROP}")
        source = self._source(claim)
        sha256 = self._store.sha256(source)
        if claim.declared_sha256 not in (None, sha256):
            raise Rejected(
                "checksum_mismatch",
                "The file's SHA-256 is not the declared one: it was changed on the way. Upload it again.",
            )
        try:
            verdict = self._inspect(claim, source, sha256)
            return self._keep(claim, source, verdict)
        finally:
            self._discard(claim)

    def _source(self, claim: Claim) -> ObjectVersion:
        """The uploaded object version, its size checked."""
        try:
            source = self._store.head(claim.arrival.key, claim.arrival.s3_version)
        except ObjectMissing:
            raise Rejected(
                "upload_deleted", "The file was deleted before it could be registered. Upload it again."
            ) from None
        if source.size == 0:
            raise Rejected("empty_file", "The file is empty. Save the model again, upload that.")
        if source.size > self._limits.upload_bytes:
            raise Rejected(
                "too_large", f"The file is larger than {self._limits.upload_bytes} bytes, the limit."
            )
        if claim.declared_size not in (None, source.size):
            raise Rejected(
                "size_mismatch",
                f"The file has {source.size} bytes, declared were {claim.declared_size}: "
                "it was cut on the way, or another file was sent. Upload it again.",
            )
        return source

    def _inspect(self, claim: Claim, source: ObjectVersion, sha256: str) -> Accepted:
        inspection = Inspection(
            version_id=claim.version_id,
            filename=claim.filename,
            source_url=self._store.read_url(source, seconds=URL_SECONDS),
            size=source.size,
            sha256=sha256,
            onnx_url=self._store.write_url(claim.keys.staged, seconds=URL_SECONDS),
            deadline_seconds=int(self._limits.inspection_seconds),
        )
        verdict = self._inspector.inspect(inspection, tenant=claim.user_id)
        if isinstance(verdict, RefusedFile):
            raise Rejected(verdict.rule, verdict.detail, verdict.format)
        if (verdict.size, verdict.sha256) != (source.size, sha256):
            raise InspectionCrashed("The inspector speaks of another file.")
        return verdict

    def _keep(self, claim: Claim, source: ObjectVersion, verdict: Accepted) -> Finished:
        """Checks what will be served where credentials live, then puts everything in its place."""
        signature, compiled, onnx_sha256 = verdict.signature, None, None
        if signature.runtime == "onnx":
            uploaded = verdict.format == "onnx"
            try:
                compiled = source if uploaded else self._staged(claim.keys.staged)
                onnx_sha256 = self._checked(compiled, verdict, uploaded=uploaded)
            except Refused as refused:
                if uploaded:
                    raise Rejected(refused.rule, refused.detail, "onnx") from None
                # The original runs under the sandbox's roof; only the compiled file is not to be trusted.
                logger.error("compiled model refused", version_id=claim.version_id, rule=refused.rule)
                why = f"The compiled model did not pass the safety check ({refused.rule})."
                signature, compiled = replace(signature, runtime="native", reason=why, onnx=None), None
        keys = claim.keys
        self._claims.check(claim)
        artifact_key = keys.artifact(verdict.format)
        self._store.copy(source, artifact_key)
        if compiled is not None and compiled != source:
            self._store.copy(compiled, keys.onnx)
        description = signature.to_json()
        self._store.put(keys.metadata, json.dumps(description).encode(), content_type="application/json")
        return Finished(
            artifact_key=artifact_key,
            artifact_format=verdict.format,
            artifact_size=verdict.size,
            artifact_sha256=verdict.sha256,
            onnx_key=keys.onnx if compiled is not None else None,
            onnx_sha256=onnx_sha256,
            runtime=signature.runtime,
            signature=description,
        )

    def _staged(self, key: str) -> ObjectVersion:
        try:
            return self._store.head(key)
        except ObjectMissing:
            raise InspectionCrashed("The inspector delivered no compiled model.") from None

    def _checked(self, file: ObjectVersion, verdict: Accepted, *, uploaded: bool) -> str:
        """The file's digest, after the same gate that uploads meet. Raises `Refused`."""
        if file.size > self._limits.upload_bytes:
            raise Refused("too_large", "the compiled model is larger than an upload may be")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            try:
                sha256 = self._store.download(file, path)
            except (ObjectMissing, ObjectTooLarge):
                raise InspectionCrashed("The compiled model changed while it was read.") from None
            told = verdict.sha256 if uploaded or verdict.onnx is None else verdict.onnx.sha256
            if sha256 != told:
                raise InspectionCrashed("The compiled model is not the one that the inspector speaks of.")
            self._check_onnx(path, self._limits, source="upload" if uploaded else "compiled")
        return sha256

    def _discard(self, claim: Claim) -> None:
        try:
            self._claims.check(claim)  # who lost the claim must not take the file from under its successor
            self._store.delete(claim.keys.staged)
        except Superseded:
            pass
        except Exception:  # costs a few cents, never a registration
            logger.exception("staged model not deleted", version_id=claim.version_id)


_DROP = "Put it straight into uploads/{user_id}/{model_name}/, without further folders."


def _crashed() -> Rejected:
    return Rejected(
        "inspection_crashed",
        f"The inspection of this file ended without a result {MAX_CRASHES} times; most likely it needs more "
        "memory than an inspection may use. Make the model smaller (fewer or shallower trees, less training "
        "data kept inside), or export it to ONNX and upload that.",
    )
