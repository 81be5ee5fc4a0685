import type { Attachment } from "svelte/attachments";

/**
 * Shows a dialog for as long as it is there. The browser keeps the focus inside; it goes back to where it was however the dialog ends.
 * Escape and a press beside it close it.
 */
export function modal(onclose: () => void): Attachment<HTMLDialogElement> {
  return (dialog) => {
    const before = document.activeElement;
    const ending = new AbortController();
    const { signal } = ending;
    dialog.addEventListener("close", onclose, { signal });
    dialog.addEventListener("click", (event) => event.target === dialog && onclose(), { signal });
    dialog.showModal();
    return () => {
      ending.abort();
      const isLost = document.activeElement === null || document.activeElement === document.body;
      if (isLost && before instanceof HTMLElement) before.focus();
    };
  };
}
