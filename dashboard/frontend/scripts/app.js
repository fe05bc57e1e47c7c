// What every page loads. Each part looks for its own elements and stays out where there are none.

import { startAges } from "./ages.js";
import { startCopying } from "./copy.js";
import { startDialogs } from "./dialogs.js";
import { startForgetting } from "./forgetting.js";
import { startLive } from "./live.js";
import { startShortcuts } from "./shortcuts.js";

startAges();
startCopying();
startDialogs();
startForgetting();
startLive();
startShortcuts();
