"""The keeper's error taxonomy: the kind of a failure decides what the loop does next.

==============  ==============================================  ===========================================  ====
class           meaning                                         `keeper run`                                 exit
==============  ==============================================  ===========================================  ====
TransientError  the world may be better in a moment             backs off and tries again                      75
AttentionError  a person must act, but waiting does no harm     reports it, keeps its interval                  1
DoubtfulError   fatal, if what was answered is true             backs off, exits once it repeats and agrees    78
FatalError      the set-up is wrong and must be changed first   exits                                          78
==============  ==============================================  ===========================================  ====

The last column is the exit code of a command that fails so; 75 and 78 are EX_TEMPFAIL and EX_CONFIG of sysexits.h. A
supervisor starts again what ends with 75, and not what ends with 78.

Every message says what happened and what to do next. Nothing is ever sent on a path that raised.
"""

from typing import ClassVar


class KeeperError(Exception):
    """Base of all errors that the keeper reports to its user without a stack trace."""

    exit_code: ClassVar[int] = 1


class TransientError(KeeperError):
    """Retry later: the cause is outside and expected to pass."""

    exit_code = 75


class AttentionError(KeeperError):
    """Tell a person: it will not pass by itself, but nothing is lost by waiting."""


class FatalError(KeeperError):
    """Stop: configuration, key, chain or journal is wrong."""

    exit_code = 78


class StoppedError(KeeperError):
    """Somebody told the keeper to stop in the middle of a cycle."""


class DoubtfulError(FatalError):
    """Stop, if it is said again and again: one odd answer of a node or a disk looks the same."""


# --- transient ---------------------------------------------------------------------------------------------------


class RpcUnavailableError(TransientError):
    """The node did not answer, or answered with a server error."""


class OddAnswerError(TransientError):
    """The node answered, and what it said cannot be."""


class RpcRejectedError(TransientError):
    """The node answered a request with a JSON-RPC error that the keeper does not expect."""

    def __init__(self, method: str, code: int | None, message: str, data: str | None = None) -> None:
        super().__init__(f"The node refused {method}: {message} (code {code}). If it persists, check the node.")
        self.method = method
        self.code = code
        self.reason = message
        self.data = data


class CycleTimeoutError(TransientError):
    """A cycle took longer than it may."""


class StaleBlockError(TransientError):
    """The newest block is too old or too far ahead of this machine's clock."""


class ReorgError(TransientError):
    """The block that was being read is no longer part of the chain."""


class JournalBusyError(TransientError):
    """Another process holds the journal's database for a moment, or the connection to it broke."""


class SourceError(TransientError):
    """A price source says nothing usable; the others may."""


class NoPriceError(TransientError):
    """Too few price sources agree."""


class FeeTooHighError(TransientError):
    """The network asks more per unit of gas than the configuration allows."""


# --- attention ---------------------------------------------------------------------------------------------------


class ForeignTransactionError(AttentionError):
    """Somebody else sends from the keeper's address."""


class WrongKeyError(AttentionError):
    """The configured key is not the one that the vault accepts."""


class InsufficientFundsError(AttentionError):
    """The keeper's account cannot pay for the transaction's gas."""


class VaultNotReadyError(AttentionError):
    """The vault has nothing to trade yet."""


class OtherLimitsError(AttentionError):
    """The vault's limits are looser than those that the policy was judged under."""


class TransactionRefusedError(AttentionError):
    """The node does not take the signed transaction."""


class InspectionError(AttentionError):
    """The node cannot give what an inspection reads: events, the state of old blocks, or a state override."""


# --- fatal -------------------------------------------------------------------------------------------------------


class ConfigError(FatalError):
    """The configuration file is missing, unreadable or wrong."""


class PolicyError(FatalError):
    """The policy cannot be loaded. The keeper never trades on a policy it could not verify."""


class WrongChainError(DoubtfulError):
    """The node serves another chain than the configured one."""


class WrongContractError(DoubtfulError):
    """An address is malformed, holds no contract, or holds another one than it should."""


class KeystoreError(FatalError):
    """The keystore or its password is missing or wrong."""


class JournalError(DoubtfulError):
    """The journal cannot be used: another keeper holds it, it belongs to another vault, or storage fails."""


class JournalHeldError(JournalError):
    """Another keeper holds the journal: it may end, or be one that died and is not noticed yet."""

    exit_code = 75
