import type { Texts } from "../en";
import { account } from "./account";
import { design } from "./design";
import { shell } from "./shell";
import { servers } from "./servers";
import { server } from "./server";
import { recipe } from "./recipe";
import { create } from "./create";
import { installs } from "./installs";
import { settings } from "./settings";
import { startup } from "./startup";
import { figures } from "./figures";
import { activity } from "./activity";
import { nodes } from "./nodes";
import { places } from "./places";
import { images } from "./images";
import { console } from "./console";
import { templates } from "./templates";

export const de: Texts = {
  ...shell,
  ...servers,
  ...server,
  ...recipe,
  ...create,
  ...installs,
  ...settings,
  ...startup,
  ...figures,
  ...activity,
  ...nodes,
  ...places,
  ...images,
  ...account,
  ...design,
  ...console,
  ...templates,
};
