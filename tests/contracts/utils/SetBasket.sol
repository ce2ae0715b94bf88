// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {ISetToken} from "../../../contracts/interfaces/set/ISetToken.sol";
import {Token} from "../mocks/Token.sol";
import {Artifacts} from "./Artifacts.sol";

interface IFullSetToken is ISetToken, IERC20 {
    function initializeModule() external;
    function addComponent(address component) external;
    function removeComponent(address component) external;
    function editDefaultPositionUnit(address component, int256 unit) external;
    function addExternalPositionModule(address component, address module) external;
    function editPositionMultiplier(int256 multiplier) external;
}

interface ISetController {
    function initialize(
        address[] calldata factories,
        address[] calldata modules,
        address[] calldata resources,
        uint256[] calldata ids
    ) external;
}

interface ISetTokenCreator {
    function create(
        address[] calldata components,
        int256[] calldata units,
        address[] calldata modules,
        address manager,
        string calldata name,
        string calldata symbol
    ) external returns (address);
}

interface IIssuanceModule {
    function initialize(IFullSetToken set, address hook) external;
    function issue(IFullSetToken set, uint256 quantity, address to) external;
    function redeem(IFullSetToken set, uint256 quantity, address to) external;
}

/// @title A real Set V2 index token, and its manager, who is also a module: it may do whatever modules may
contract SetBasket {
    string private constant ROOT = "@setprotocol/set-protocol-v2/artifacts/contracts/protocol/";

    IFullSetToken public basket;
    IIssuanceModule public issuance;

    constructor(address[] memory components, int256[] memory units) {
        address controller = _deploy("Controller.sol/Controller.json", abi.encode(address(this)));
        address creator = _deploy("SetTokenCreator.sol/SetTokenCreator.json", abi.encode(controller));
        issuance = IIssuanceModule(
            _deploy("modules/BasicIssuanceModule.sol/BasicIssuanceModule.json", abi.encode(controller))
        );
        address[] memory modules = new address[](2);
        (modules[0], modules[1]) = (address(issuance), address(this));
        address[] memory creators = new address[](1);
        creators[0] = creator;
        ISetController(controller).initialize(creators, modules, new address[](0), new uint256[](0));
        basket = IFullSetToken(
            ISetTokenCreator(creator).create(components, units, modules, address(this), "Index", "INDEX")
        );
        issuance.initialize(basket, address(0));
        basket.initializeModule();
    }

    /* THE MANAGER */

    function setUnit(address component, uint256 unit) external {
        basket.editDefaultPositionUnit(component, int256(unit));
    }

    /// @param left Share of every unit that is left, WAD.
    function takeFee(uint256 left) external {
        basket.editPositionMultiplier(int256(left));
    }

    function add(address component) external {
        basket.addComponent(component);
    }

    function remove(address component) external {
        basket.removeComponent(component);
    }

    function lendOut(address component) external {
        basket.addExternalPositionModule(component, address(this));
    }

    function _deploy(string memory path, bytes memory arguments) private returns (address) {
        return Artifacts.deploy(string.concat(ROOT, path), arguments);
    }
}
