// node drive.mjs HOOKS.ts < scenario.json: registers the hooks of the file with the real SDK, and calls them as its task
// runner would. A scenario is a list of {hook, ctx, ...params}; every ctx must satisfy the SDK's own schema.
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import ts from "typescript";
import { lifecycleHooks, runMetadata, TaskRunContext } from "@trigger.dev/core/v3";
import { StandardLifecycleHooksManager, StandardMetadataManager } from "@trigger.dev/core/v3/workers";

const [source] = process.argv.slice(2);
const compiled = source.replace(/\.ts$/, ".mjs");
const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true };
writeFileSync(compiled, ts.transpileModule(readFileSync(source, "utf8"), { compilerOptions: options }).outputText);

lifecycleHooks.setGlobalLifecycleHooksManager(new StandardLifecycleHooksManager());
const runnersMetadata = new StandardMetadataManager("http://127.0.0.1:9");
runMetadata.setGlobalManager(runnersMetadata);
await import(pathToFileURL(compiled));

const registered = {
  onStartAttempt: () => lifecycleHooks.getGlobalStartAttemptHooks(),
  onFailure: () => lifecycleHooks.getGlobalFailureHooks(),
  onSuccess: () => lifecycleHooks.getGlobalSuccessHooks(),
  catchError: () => lifecycleHooks.getGlobalCatchErrorHooks(),
};
const answers = [];
for (const { hook, ctx, error, metadata, ...params } of JSON.parse(readFileSync(0, "utf8"))) {
  const parsed = TaskRunContext.parse(ctx);
  const thrown = error?.name ? Object.assign(new Error(error.message), { name: error.name }) : error;
  runnersMetadata.enterWithMetadata(metadata ?? {});
  const hooks = registered[hook]();
  const results = [];
  for (const one of hooks)
    results.push((await one.fn({ ctx: parsed, payload: {}, task: ctx.task.id, signal: new AbortController().signal, error: thrown, ...params })) ?? null);
  answers.push({ hook, hooks: hooks.map((one) => one.name ?? one.id), results });
}
console.log(JSON.stringify(answers));
