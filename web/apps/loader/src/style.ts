/** Lives in a shadow root: nothing leaks out, nothing leaks in. */
export const STYLE = `
:host{all:initial!important;position:fixed!important;z-index:2147483000!important;inset:auto!important;color-scheme:light dark!important}
@media print{:host{display:none!important}}
*{box-sizing:border-box}
button{position:fixed;bottom:max(20px,env(safe-area-inset-bottom));right:max(20px,env(safe-area-inset-right));width:56px;height:56px;padding:0;border:0;border-radius:50%;
background:var(--c,#3355d8);color:#fff;cursor:pointer;box-shadow:0 8px 24px rgb(10 14 30/.3);transition:transform .15s;-webkit-tap-highlight-color:transparent}
@supports(color:lab(from red l a b)){button{color:lab(from var(--c,#3355d8) calc((49.5 - l)*999) 0 0)}}
button:hover{transform:translateY(-2px)}
button:active{transform:scale(.96)}
button:focus-visible{outline:3px solid;outline-offset:-6px;box-shadow:0 0 0 3px var(--c,#3355d8)}
svg{position:absolute;inset:0;margin:auto;width:28px;height:28px;transition:opacity .15s,transform .15s}
.x{opacity:0;transform:rotate(-45deg) scale(.6)}
.open .x{opacity:1;transform:none}
.open .bubble{opacity:0;transform:rotate(45deg) scale(.6)}
i{position:absolute;top:-2px;right:-2px;min-width:20px;height:20px;padding:0 5px;border-radius:10px;background:#d92d3a;color:#fff;font:600 12px/20px system-ui,sans-serif;text-align:center;
box-shadow:0 0 0 2px #fff;transform:scale(0);transition:transform .15s}
i.on{transform:none}
div{position:fixed;bottom:calc(max(20px,env(safe-area-inset-bottom)) + 72px);right:max(20px,env(safe-area-inset-right));width:380px;height:640px;max-width:calc(100vw - 40px);max-height:calc(100vh - 112px);
border-radius:18px;overflow:hidden;background:#fff;box-shadow:0 0 0 1px rgb(10 14 30/.06),0 18px 60px rgb(10 14 30/.26);opacity:0;visibility:hidden;transform:translateY(12px) scale(.98);transform-origin:bottom right;
transition:opacity .15s,transform .15s,visibility 0s .15s}
.open div{opacity:1;visibility:visible;transform:none;transition:opacity .15s,transform .15s}
iframe{display:block;width:100%;height:100%;border:0;color-scheme:normal}
.left button{right:auto;left:max(20px,env(safe-area-inset-left))}
.left div{right:auto;left:max(20px,env(safe-area-inset-left));transform-origin:bottom left}
@media (prefers-color-scheme:dark){div{background:#16181d;box-shadow:0 0 0 1px #343945,0 18px 60px rgb(0 0 0/.6)}i{box-shadow:0 0 0 2px #16181d}}
@media (max-width:520px){.open button{display:none}div{inset:0!important;width:100%;height:100%;height:100dvh;max-width:none;max-height:none;border-radius:0}}
@media (prefers-reduced-motion:reduce){*{transition:none!important}}
`;
