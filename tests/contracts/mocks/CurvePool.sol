// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Token} from "./Token.sol";

/// @notice A stable pool with Curve's functions, of three coins: no package has Curve's code. The arithmetic is that of the
/// whitepaper with the fee on what is out of proportion, half of it the protocol's. It has either face: amounts in an array of
/// three (3pool: quotes are without the fee, and it can be stopped), or in a list (stableswap-ng: quotes are with it).
contract CurvePool {
    uint256 private constant N = 3;
    uint256 private constant FEE_UNIT = 1e10;

    Token[N] private _coins;
    uint256[N] public balances;
    uint256 private immutable A;
    uint256 public immutable fee;
    bool public immutable LISTS;
    Token public token;
    bool private _killed;

    constructor(Token[N] memory coins_, uint256 amplification, uint256 fee_, bool lists) {
        (_coins, A, fee, LISTS) = (coins_, amplification, fee_, lists);
        token = new Token(18);
    }

    modifier face(bool lists) {
        require(lists == LISTS, "no such function");
        _;
    }

    function coins(uint256 index) external view returns (address) {
        return address(_coins[index]);
    }

    function kill() external {
        _killed = true;
    }

    function is_killed() external view face(false) returns (bool) {
        return _killed;
    }

    function get_virtual_price() external view returns (uint256) {
        return _d(_xp(balances)) * 1e18 / token.totalSupply();
    }

    /* IN */

    function add_liquidity(uint256[N] memory amounts, uint256 least) external face(false) {
        _add(amounts, least);
    }

    function add_liquidity(uint256[] memory amounts, uint256 least) external face(true) returns (uint256) {
        return _add(_fixed(amounts), least);
    }

    function _add(uint256[N] memory amounts, uint256 least) private returns (uint256 minted) {
        require(!_killed, "killed");
        uint256[N] memory now_ = balances;
        for (uint256 i; i < N; ++i) {
            if (amounts[i] != 0) _coins[i].transferFrom(msg.sender, address(this), amounts[i]);
            now_[i] += amounts[i];
        }
        if (token.totalSupply() == 0) (balances, minted) = (now_, _d(_xp(now_)));
        else minted = _rebalance(now_);
        require(minted >= least, "slippage");
        token.mint(msg.sender, minted);
    }

    function calc_token_amount(uint256[N] memory amounts, bool isDeposit) external view face(false) returns (uint256) {
        uint256 before = _d(_xp(balances));
        uint256 later = _d(_xp(_moved(amounts, isDeposit)));
        return (isDeposit ? later - before : before - later) * token.totalSupply() / before;
    }

    function calc_token_amount(uint256[] memory amounts, bool isDeposit) external view face(true) returns (uint256) {
        uint256 before = _d(_xp(balances));
        (uint256 later,) = _afterFees(_moved(_fixed(amounts), isDeposit));
        return (isDeposit ? later - before : before - later) * token.totalSupply() / before;
    }

    /* OUT */

    function remove_liquidity_imbalance(uint256[N] memory amounts, uint256 most) external face(false) {
        _removeImbalance(amounts, most);
    }

    function remove_liquidity_imbalance(uint256[] memory amounts, uint256 most) external face(true) returns (uint256) {
        return _removeImbalance(_fixed(amounts), most);
    }

    function _removeImbalance(uint256[N] memory amounts, uint256 most) private returns (uint256 burned) {
        require(!_killed, "killed");
        burned = _rebalance(_moved(amounts, false)) + 1;
        require(burned > 1 && burned <= most, "slippage");
        token.burn(msg.sender, burned);
        for (uint256 i; i < N; ++i) {
            if (amounts[i] != 0) _coins[i].transfer(msg.sender, amounts[i]);
        }
    }

    function calc_withdraw_one_coin(uint256 tokens, int128 index) public view returns (uint256 paid) {
        (paid,) = _one(tokens, uint256(int256(index)));
    }

    function remove_liquidity_one_coin(uint256 tokens, int128 index, uint256 least) external {
        require(!_killed, "killed");
        uint256 i = uint256(int256(index));
        (uint256 paid, uint256 charged) = _one(tokens, i);
        require(paid >= least, "slippage");
        balances[i] -= paid + charged / 2;
        token.burn(msg.sender, tokens);
        _coins[i].transfer(msg.sender, paid);
        if (LISTS) {
            assembly ("memory-safe") {
                mstore(0x00, paid)
                return(0x00, 0x20)
            }
        }
    }

    function _one(uint256 tokens, uint256 i) private view returns (uint256 paid, uint256 charged) {
        uint256[N] memory xp = _xp(balances);
        uint256 before = _d(xp);
        uint256 later = before - tokens * before / token.totalSupply();
        uint256 free = xp[i] - _y(xp, i, later);
        uint256 y = xp[i] - free;
        uint256[N] memory reduced;
        for (uint256 j; j < N; ++j) {
            uint256 ideal = xp[j] * later / before;
            reduced[j] = xp[j] - _imbalanceFee(j == i ? ideal - y : xp[j] - ideal);
        }
        uint256 unit = 10 ** (18 - _coins[i].decimals());
        paid = (reduced[i] - _y(reduced, i, later) - 1) / unit;
        charged = free / unit - paid;
    }

    function exchange(int128 from, int128 to, uint256 amount) external returns (uint256 paid) {
        (uint256 i, uint256 j) = (uint256(int256(from)), uint256(int256(to)));
        _coins[i].transferFrom(msg.sender, address(this), amount);
        uint256[N] memory xp = _xp(balances);
        uint256 d = _d(xp);
        uint256 before = xp[j];
        xp[i] += amount * 10 ** (18 - _coins[i].decimals());
        paid = (before - _y(xp, j, d) - 1) / 10 ** (18 - _coins[j].decimals());
        uint256 charged = paid * fee / FEE_UNIT;
        balances[i] += amount;
        balances[j] -= paid - charged / 2;
        paid -= charged;
        _coins[j].transfer(msg.sender, paid);
    }

    /* ARITHMETIC */

    function _fixed(uint256[] memory amounts) private pure returns (uint256[N] memory all) {
        require(amounts.length == N, "length");
        for (uint256 i; i < N; ++i) {
            all[i] = amounts[i];
        }
    }

    function _moved(uint256[N] memory amounts, bool isDeposit) private view returns (uint256[N] memory now_) {
        for (uint256 i; i < N; ++i) {
            now_[i] = isDeposit ? balances[i] + amounts[i] : balances[i] - amounts[i];
        }
    }

    function _imbalanceFee(uint256 difference) private view returns (uint256) {
        return difference * fee * N / (4 * (N - 1)) / FEE_UNIT;
    }

    /// @dev Takes new balances, less the protocol's part of the fee, and says what they are in the pool's tokens.
    function _rebalance(uint256[N] memory now_) private returns (uint256 tokens) {
        uint256 before = _d(_xp(balances));
        (uint256 later, uint256[N] memory charged) = _afterFees(now_);
        for (uint256 i; i < N; ++i) {
            balances[i] = now_[i] - charged[i] / 2;
        }
        tokens = (later > before ? later - before : before - later) * token.totalSupply() / before;
    }

    function _afterFees(uint256[N] memory now_) private view returns (uint256 d, uint256[N] memory charged) {
        uint256 before = _d(_xp(balances));
        uint256 later = _d(_xp(now_));
        uint256[N] memory less;
        for (uint256 i; i < N; ++i) {
            uint256 ideal = balances[i] * later / before;
            charged[i] = _imbalanceFee(ideal > now_[i] ? ideal - now_[i] : now_[i] - ideal);
            less[i] = now_[i] - charged[i];
        }
        d = _d(_xp(less));
    }

    function _xp(uint256[N] memory amounts) private view returns (uint256[N] memory xp) {
        for (uint256 i; i < N; ++i) {
            xp[i] = amounts[i] * 10 ** (18 - _coins[i].decimals());
        }
    }

    function _d(uint256[N] memory xp) private view returns (uint256 d) {
        uint256 sum = xp[0] + xp[1] + xp[2];
        uint256 before;
        d = sum;
        while (d > before + 1 || before > d + 1) {
            uint256 p = d * d / (xp[0] * N) * d / (xp[1] * N) * d / (xp[2] * N);
            before = d;
            d = (A * N * sum + p * N) * d / ((A * N - 1) * d + (N + 1) * p);
        }
    }

    /// @dev The balance of a coin with which the others' have the invariant.
    function _y(uint256[N] memory xp, uint256 index, uint256 d) private view returns (uint256 y) {
        uint256 c = d;
        uint256 sum;
        for (uint256 i; i < N; ++i) {
            if (i == index) continue;
            c = c * d / (xp[i] * N);
            sum += xp[i];
        }
        c = c * d / (A * N * N);
        uint256 b = sum + d / (A * N);
        uint256 before;
        y = d;
        while (y > before + 1 || before > y + 1) {
            before = y;
            y = (y * y + c) / (2 * y + b - d);
        }
    }
}
