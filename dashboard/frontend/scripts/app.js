// What every page loads. Each part looks for its own elements and stays out where there are none.

import { startAges } from "./ages.js";
import { refreshMoments } from "./clock.js";
import { startCopying } from "./copy.js";
import { startDialogs } from "./dialogs.js";
import { startForgetting } from "./forgetting.js";
import { startLive } from "./live.js";
import { startShortcuts } from "./shortcuts.js";

startAges();
refreshMoments();
startCopying();
startDialogs();
startForgetting();
startLive();
startShortcuts();
