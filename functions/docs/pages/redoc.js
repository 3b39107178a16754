Redoc.init("openapi.json", { disableSearch: true, hideDownloadButton: false }, document.getElementById("redoc"));
