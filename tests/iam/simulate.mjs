// Evaluate the simulations on stdin, a JSON array; print an array of their results.
import { anonymousPrincipal, runSimulation } from "@cloud-copilot/iam-simulate";
import { text } from "node:stream/consumers";

const simulations = JSON.parse(await text(process.stdin));
const results = [];
for (const simulation of simulations) {
  simulation.request.principal ||= anonymousPrincipal;
  const response = await runSimulation(simulation, {});
  results.push(
    response.resultType === "error"
      ? JSON.stringify(response.errors)
      : response.overallResult,
  );
}
console.log(JSON.stringify(results));
