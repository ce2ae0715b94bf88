"""What will be deployed, and how a person reads it before anything is sent."""

from dataclasses import dataclass

from eth_typing import ChecksumAddress

from scripts.deployment.limits import LimitValues
from scripts.deployment.words import DAY, UINT128_MAX, WAD, percent, span


@dataclass(frozen=True)
class PlannedStrategy:
    """One strategy: either an Aave V3 `pool` that gets a new `AaveV3Strategy`, or an existing ERC-4626 `target`."""

    name: str
    pool: ChecksumAddress | None
    target: ChecksumAddress | None
    relative_cap: int
    absolute_cap: int


@dataclass(frozen=True)
class DeploymentPlan:
    """Everything that `deploy_vault` does; ratios in WAD, money in base units, `delay` of governance in seconds."""

    chain_id: int
    deployer: ChecksumAddress
    asset: ChecksumAddress
    asset_symbol: str
    asset_decimals: int
    name: str
    symbol: str
    keeper: ChecksumAddress
    governance: ChecksumAddress
    guardian: ChecksumAddress
    delay: int
    policy_hash: str
    limits: LimitValues
    fee_recipient: ChecksumAddress | None
    strategies: tuple[PlannedStrategy, ...]
    seed: int = 0
    """First deposit, base units; its shares go to nobody, so that the vault is never empty again."""

    def lines(self) -> list[str]:
        """Return the plan as text, one thing a line."""
        unit = 10**self.asset_decimals
        told = [
            f"Plan for chain {self.chain_id}:",
            f"  deployer    {self.deployer}",
            f"  vault       {self.name} ({self.symbol}) of {self.asset_symbol} {self.asset}",
            f"  keeper      {self.keeper}",
            f"  governance  {self.governance}, after {span(self.delay)}"
            if self.delay
            else f"  governance  {self.governance}, WITHOUT A DELAY",
            f"  guardian    {self.guardian}",
            f"  policy      {self.policy_hash}",
            f"  limits      idle floor {percent(self.limits.idle_floor)}, "
            f"drawdown {percent(self.limits.max_drawdown)}, "
            f"mark growth {percent(self.limits.mark_growth_rate)} a year",
            f"  keeper      at most every {span(self.limits.cooldown)}, silent after {span(self.limits.max_silence)}",
            f"  budgets     loss {_budget(self.limits.loss_capacity, self.limits.loss_refill)}; "
            f"turnover {_budget(self.limits.turnover_capacity, self.limits.turnover_refill)}",
        ]
        if self.seed:
            told.append(f"  seed        {self.seed / unit:,} {self.asset_symbol}, whose shares go to nobody")
        if self.fee_recipient is not None:
            told.append(f"  fee         {percent(self.limits.performance_fee)} of gains to {self.fee_recipient}")
        for strategy in self.strategies:
            venue = f"new strategy on Aave V3 pool {strategy.pool}" if strategy.pool else f"ERC-4626 {strategy.target}"
            cap = "no absolute cap"
            if strategy.absolute_cap < UINT128_MAX:
                cap = f"{strategy.absolute_cap / unit:,.0f} {self.asset_symbol}"
            told.append(f"  strategy    {strategy.name}: {venue}; at most {strategy.relative_cap / WAD:.2%}, {cap}")
        return told + [f"  warning     {line}" for line in self.warnings()]

    def warnings(self) -> list[str]:
        """Return what is allowed, but not wise."""
        told = []
        if self.guardian == self.governance:
            told.append(
                "guardian and governance are the same address: nobody else can cancel what a thief of it announces"
            )
        if self.delay == 0:
            told.append("governance has no delay: depositors have no notice of anything; for play only")
        if self.seed == 0:
            told.append(
                "the vault starts empty: whoever deposits little and then gives as much would put the share price "
                "ahead of its high-water mark; give it a first deposit with --seed, or make one before others do"
            )
        return told


def _budget(capacity: int, refill: int) -> str:
    return f"{percent(capacity)} at once, {percent(refill * DAY)} a day come back"
