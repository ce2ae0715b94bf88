// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOracle} from "../../../contracts/interfaces/IOracle.sol";

/// @notice A price that tests set; none where it is 0.
contract SettableOracle is IOracle {
    uint256 private _price;

    error NoPrice();

    function setPrice(uint256 price_) external {
        _price = price_;
    }

    function price() external view returns (uint256) {
        require(_price != 0, NoPrice());
        return _price;
    }
}
