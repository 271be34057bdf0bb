/** Entry of the live page. */
import { render } from "preact";
import { App } from "./app.js";
import { startSession } from "./session.js";

startSession();
render(<App />, document.getElementById("app")!);
