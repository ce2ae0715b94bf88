// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title What was spent, and when: the promise of a token bucket, checked without one
/// @notice Every window that ends now is looked at: what was spent in it must be at most `capacity + refill x length`.
library Windows {
    uint256 private constant WAD = 1e18;
    uint256 private constant LOOK_BACK = 64;

    struct Log {
        uint256 capacity;
        uint256 refill;
        uint256[] times;
        uint256[] amounts;
    }

    /// @return worst Largest share (WAD) of its bound that any window ending now has used.
    function spend(Log storage log, uint256 amount) internal returns (uint256 worst) {
        log.times.push(block.timestamp);
        log.amounts.push(amount);
        uint256 sum;
        for (uint256 i = log.times.length; i > 0 && i + LOOK_BACK > log.times.length; --i) {
            sum += log.amounts[i - 1];
            uint256 limit = log.capacity + log.refill * (block.timestamp - log.times[i - 1]);
            uint256 used = limit == 0 ? (sum == 0 ? 0 : type(uint256).max) : (sum * WAD + limit - 1) / limit;
            if (used > worst) worst = used;
        }
    }
}
