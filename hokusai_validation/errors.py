"""The error tree: every leaf names one failure, and its message says what, where, and what to do.

`exit_status` is what the command line ends with: 2 for wrong usage or an unusable target file,
3 for "could not be judged" (a stack that did not start, a fault that could not be undone).
"""


class HokusaiError(Exception):
    """Anything this package raises on purpose. The message is one sentence for a person."""

    exit_status = 3


class UsageError(HokusaiError):
    """What was asked for can't be done as asked; nothing was started."""

    exit_status = 2


class TargetNotFound(UsageError):
    """No target file of that name or path."""


class TargetInvalid(UsageError):
    """The target file can't be read, is not TOML, or has an unknown key or a wrong type."""


class TargetChanged(UsageError):
    """The target's file is another one than the run began with, and that one can't be had again."""


class SecretMissing(UsageError):
    """An environment variable or secret that the target file names is not there."""


class SecretUnusable(UsageError):
    """A secret is there, but can't be what was meant: blanks or control characters, or too short."""


class NotPermitted(UsageError):
    """The target file does not allow what was asked for (a fault, load, production)."""


class TargetBusy(HokusaiError):
    """Another run holds the target's lock."""


class LockUnusable(HokusaiError):
    """The place of the locks on targets can't be used."""


class StackError(HokusaiError):
    """The sandbox could not do what was asked."""


class StackDidNotStart(StackError):
    """A service of the sandbox did not become ready in time."""


class PortTaken(StackError):
    """A port that was asked for is in use."""


class SuiteError(HokusaiError):
    """The suite process could not start, or ended without any row."""


class RecordNotWritten(HokusaiError):
    """Rows could not be put on record; the tests behind them ran."""


class ReportNotWritten(HokusaiError):
    """A document could not be written; nothing half-written stays behind."""


class FaultError(HokusaiError):
    """Something about a fault went wrong."""


class AgentFailed(FaultError):
    """The program that holds faults (links, control agent) did not answer, or refused."""


class FaultNotApplied(FaultError):
    """The fault could not be put on."""


class FaultNotProven(FaultError):
    """The fault was put on, but its effect was not seen from the side of the link's client."""


class FaultOrphaned(FaultError):
    """The fault is still on. `command` is what a person runs to undo it by hand."""

    def __init__(self, message: str, command: str) -> None:
        super().__init__(message)
        self.command = command


class ExpectationUnmet(AssertionError):
    """What was expected of the target does not hold: with a failed request the one thing that makes a test
    `failed`. Any other AssertionError is one of our own, or of a library."""


class NotExecuted(HokusaiError):
    """A test was not executed, and nothing is told of the target by that: its row is `skipped`."""


class NotConfigured(NotExecuted):
    """The target file does not name what the test is about."""


class UnhealthyBefore(NotExecuted):
    """A part that a test relies on was not well before it began: nothing was done to it.
    `component` is the part."""

    def __init__(self, message: str, component: str) -> None:
        super().__init__(message)
        self.component = component


class EarlierFailed(NotExecuted):
    """An earlier step failed, without which this one can't be gone."""


class TimeBudgetSpent(NotExecuted):
    """The time that its phase may take was used up before the test began."""


class NoSteadyState(HokusaiError):
    """The target was not healthy before an experiment: nothing was injected, nothing judged."""


class RequestFailed(HokusaiError):
    """A request got no usable answer. The leaves are the distinctions that diagnosis needs."""


class NameNotResolved(RequestFailed):
    """The host's name has no address. `code` is the resolver's own word for why (`NXDOMAIN`,
    `NoAnswer`, `EAI_AGAIN`)."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class ConnectionRefused(RequestFailed):
    """Nothing listens there: a dead process."""


class ConnectTimedOut(RequestFailed):
    """The connection was not accepted in time: a closed security group, a full backlog."""


class ReadTimedOut(RequestFailed):
    """Connected, but no (whole) answer in time."""


class ConnectionReset(RequestFailed):
    """The peer broke the connection before the answer was complete."""


class TlsFailed(RequestFailed):
    """The TLS handshake or the certificate check failed."""


class ProtocolViolated(RequestFailed):
    """The answer was not HTTP, or not what its headers said."""


class StatementRefused(ProtocolViolated):
    """The database does not run such a statement: its text is wrong, or it writes where only reading is allowed."""


class AnswerTooLarge(RequestFailed):
    """The answer was longer than the limit; reading stopped there."""


class NotJudged(HokusaiError):
    """A test could not judge the target (a saturated generator, a state that did not come): `broken`."""


class LoginRefused(RequestFailed):
    """The server is there, and refused the user or its password."""


class StatementTimedOut(RequestFailed):
    """The database cancelled a statement that ran longer than allowed."""


class ConnectionsExhausted(RequestFailed):
    """No connection was free within the time: a full pool, or the server's own limit."""


class AwsError(HokusaiError):
    """An AWS call gave no usable answer."""


class AwsPermissionMissing(AwsError):
    """The credentials may not make this call. `action` is the IAM action (`ecs:DescribeServices`)."""

    def __init__(self, message: str, action: str) -> None:
        super().__init__(message)
        self.action = action


class AwsCredentialsRefused(AwsError):
    """There are no credentials, or AWS does not accept them."""


class AwsThrottled(AwsError):
    """AWS still asked for fewer calls after all retries."""


class AwsUnavailable(AwsError):
    """AWS did not answer, or answered with an error of its own, after all retries."""


class AwsNotFound(AwsError):
    """What the target file names is not there."""


class NotDelivered(HokusaiError):
    """An announcement did not reach its channel."""


class CommitUnexpected(HokusaiError):
    """Another commit runs than the one that was to be validated: nothing else was tested."""

    exit_status = 1
