// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {GrowthBound} from "../../contracts/libraries/GrowthBound.sol";
import {Proof} from "./Proof.sol";
import {Answers, Asset, VaultMath} from "./VaultMath.sol";

/// @notice Bid, NAV and ask, what is recorded, and exits in kind, on the vault's own functions, with a strategy that answers
/// whatever it likes.
/// @dev Bounds of the proofs: amounts of 64 bits, for a solver multiplies bit by bit; one strategy. The time since the record
/// is fixed where only the order of the values matters.
contract BooksProof is Proof {
    uint40 internal constant NOW = 1_750_000_000;
    uint32 internal constant RATE = 250_000; // millionths a year
    uint256 internal constant SKIP = type(uint256).max;

    VaultMath internal _vault;
    Answers internal _strategy;
    Asset internal _asset;

    function setUp() public {
        _vault = new VaultMath();
        _strategy = new Answers();
        _asset = Asset(_vault.asset());
        _vault.mintShares(1e18);
        vm.warp(NOW);
    }

    /// @dev Records are of `NOW`, so that no growth has come yet.
    function _start(uint64 idle, uint64 total, uint64 recorded, uint64 leaving, uint64 worth) internal {
        _asset.mint(address(_vault), idle);
        _vault.setTotals(total, NOW, RATE);
        _vault.setStrategy(0, address(_strategy), 1, recorded, uint32(NOW));
        _strategy.set(leaving, worth);
    }

    /* BID, NAV AND ASK */

    function check_theBidIsNeverOverNav(uint64 idle, uint64 total, uint64 recorded, uint64 leaving) external {
        _start(idle, total, recorded, leaving, leaving);
        (uint256 nav, uint256 bid,) = _vault.books();
        assert(bid <= nav);
    }

    function check_theAskIsNeverUnderNav(uint64 idle, uint64 total, uint64 recorded, uint64 leaving, uint64 worth)
        external
    {
        _vault.setDiscounted(1);
        _start(idle, total, recorded, leaving, worth);
        (uint256 nav,, uint256 ask) = _vault.books();
        assert(ask >= nav);
    }

    function check_theAskIsNeverUnderTheBid(uint64 idle, uint64 total, uint64 recorded, uint64 leaving, uint64 worth)
        external
    {
        _vault.setDiscounted(1);
        _start(idle, total, recorded, leaving, worth);
        (, uint256 bid, uint256 ask) = _vault.books();
        assert(bid <= ask);
    }

    /// @dev Whatever a strategy says, the bid is not over the last record of the whole.
    function check_theBidIsNeverOverTheRecord(uint64 idle, uint64 total, uint64 recorded, uint64 leaving) external {
        _start(idle, total, recorded, leaving, leaving);
        (, uint256 bid,) = _vault.books();
        assert(bid <= total);
    }

    /// @dev Whatever a strategy says, it counts for no more than was recorded of it.
    function check_noStrategyCountsForMoreThanItsRecord(uint64 idle, uint64 total, uint64 recorded, uint64 leaving)
        external
    {
        _start(idle, total, recorded, leaving, leaving);
        (, uint256 bid,) = _vault.books();
        unchecked {
            assert(bid <= uint256(idle) + recorded);
        }
    }

    /// @dev A loss counts at once.
    function check_theBidFallsAtOnce(uint64 idle, uint64 total, uint64 recorded, uint64 leaving) external {
        _start(idle, total, recorded, leaving, leaving);
        (, uint256 bid,) = _vault.books();
        unchecked {
            assert(bid <= uint256(idle) + leaving);
        }
    }

    /// @dev Where nothing is over its record, the bid is NAV: the bound takes nothing from whoever tells the truth.
    function check_theBidIsNavWhereNothingGrew(uint64 idle, uint64 total, uint64 recorded, uint64 leaving) external {
        vm.assume(leaving <= recorded && uint256(idle) + leaving <= total);
        _start(idle, total, recorded, leaving, leaving);
        (uint256 nav, uint256 bid,) = _vault.books();
        assert(bid == nav);
    }

    /// @dev With time, each record grows by the bound that `GrowthBoundProof` is about.
    function check_aStrategysRecordGrowsByTheBound(uint64 recorded, uint16 elapsed) external {
        _start(0, 0, recorded, 0, 0);
        vm.warp(uint256(NOW) + elapsed);
        assert(_vault.ceiling(0) == GrowthBound.grown(recorded, uint256(RATE) * 1e12, elapsed));
    }

    /* WHAT IS RECORDED LEAVES WITH THE SHARES */

    /// @dev The two ends of a part; what is between them is divided, which `Promises._checkRecorded` looks at.
    function check_sellingNothingChangesNoRecord(uint64 shares, uint64 recorded) external {
        _vault.setStrategy(0, address(_strategy), shares, recorded, uint32(NOW));
        _vault.reduce(0);
        assert(_vault.strategy(0).recorded == recorded && _vault.strategy(0).shares == shares);
    }

    function check_withoutSharesNothingIsRecorded(uint64 shares, uint64 recorded) external {
        vm.assume(shares > 0);
        _vault.setStrategy(0, address(_strategy), shares, recorded, uint32(NOW));
        _vault.reduce(shares);
        assert(_vault.strategy(0).recorded == 0 && _vault.strategy(0).shares == 0);
    }

    /* EXITS IN KIND */

    /// @dev No part is handed out under its minimum.
    function check_noPartIsUnderItsMinimum(uint64 idle, uint64 amount, uint256 least) external {
        vm.assume(least != SKIP);
        _asset.mint(address(_vault), idle);
        uint256 paid = _vault.handOut(address(_asset), amount, least);
        assert(paid >= least);
    }

    function check_noPartIsMoreThanTheFairOne(uint64 idle, uint64 amount, uint256 least) external {
        _asset.mint(address(_vault), idle);
        uint256 paid = _vault.handOut(address(_asset), amount, least);
        assert(paid <= amount && _asset.balanceOf(address(5)) == paid);
    }

    function check_aPartThatIsNotWantedStays(uint64 idle, uint64 amount) external {
        _asset.mint(address(_vault), idle);
        assert(_vault.handOut(address(_asset), amount, SKIP) == 0 && _asset.balanceOf(address(_vault)) == idle);
    }

    /* FALSE ON PURPOSE, with the assumptions of those above. See `MUST_FAIL` of the audit. */

    function check_refuted_theBidIsAlwaysNav(uint16 idle, uint16 total, uint16 recorded, uint16 leaving) external {
        _start(idle, total, recorded, leaving, leaving);
        (uint256 nav, uint256 bid,) = _vault.books();
        assert(bid == nav);
    }

    function check_refuted_theAskIsAlwaysNav(uint16 idle, uint16 total, uint16 recorded, uint16 leaving, uint16 worth)
        external
    {
        _vault.setDiscounted(1);
        _start(idle, total, recorded, leaving, worth);
        (uint256 nav,, uint256 ask) = _vault.books();
        assert(ask == nav);
    }

    function check_refuted_whereNothingGrewThereIsNothing(uint16 idle, uint16 total, uint16 recorded, uint16 leaving)
        external
    {
        vm.assume(leaving <= recorded && uint256(idle) + leaving <= total);
        _start(idle, total, recorded, leaving, leaving);
        (uint256 nav,,) = _vault.books();
        assert(nav == 0);
    }

    function check_refuted_everyPartIsHandedOut(uint16 idle, uint16 amount, uint256 least) external {
        vm.assume(least != SKIP);
        _asset.mint(address(_vault), idle);
        assert(_vault.handOut(address(_asset), amount, least) == amount);
    }
}
